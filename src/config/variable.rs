//! One variable of the configuration.

use std::fmt::Display;

use super::Rule;

/// One variable that the server reads.
#[derive(Debug, Clone)]
pub struct Variable {
    pub name: &'static str,
    /// What holds if it is not set; empty if nothing does.
    pub default: String,
    pub rule: Rule,
    pub meaning: &'static str,
}

impl Variable {
    pub(super) fn new(name: &'static str, default: impl Display, rule: Rule, meaning: &'static str) -> Self {
        Self { name, default: default.to_string(), rule, meaning }
    }
}

/// A row of a table: name, default, rule and meaning.
impl From<(&'static str, &dyn Display, Rule, &'static str)> for Variable {
    fn from((name, default, rule, meaning): (&'static str, &dyn Display, Rule, &'static str)) -> Self {
        Self::new(name, default, rule, meaning)
    }
}
