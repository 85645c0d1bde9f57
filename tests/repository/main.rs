//! Holds the repository to what it says of itself: its plan, its documentation, its tables.

#[path = "../common/mod.rs"]
mod common;
mod configuration;
mod ground_plan;
mod moving_in;
mod papers;
mod tables;
