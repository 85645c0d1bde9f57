//! What several test binaries share. Each of them uses a part.
#![allow(dead_code)]

pub mod client;
pub mod process;
