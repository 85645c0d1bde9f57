//! Holds the repository to what it says of itself: its plan, its documentation, its tables.

#[path = "../common/mod.rs"]
mod common;
mod configuration;
mod doctor;
mod examples;
mod files;
mod ground_plan;
mod migrating;
mod papers;
mod tables;
