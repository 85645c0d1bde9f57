//! Which variables are set, and whose names they were set under.

use std::{collections::BTreeMap, fmt};

use serde::de::DeserializeOwned;

use super::{Problems, Rule, TracesConfig, Variable, problems};

/// The variables of the process that are not empty, and what they say about ours.
#[derive(Clone)]
pub(super) struct Environment {
    all: BTreeMap<String, String>,
    given: BTreeMap<String, Given>,
}

/// The value of one of our variables.
#[derive(Clone)]
pub(super) struct Given {
    pub(super) value: String,
    /// The variable that it was read from, or why it was assumed.
    pub(super) source: String,
}

impl Environment {
    /// Space around a value is dropped: a secret mounted from a file often ends with a line break.
    pub(super) fn new(vars: impl IntoIterator<Item = (String, String)>) -> Self {
        let all: BTreeMap<_, _> = vars
            .into_iter()
            .map(|(name, value)| (name, value.trim().to_owned()))
            .filter(|(_, value)| !value.is_empty())
            .collect();
        // Others of the standard may be another program's, or mean what we do not have.
        let standard = TracesConfig::variables();
        let is_ours = |name: &str| name.starts_with("GAUNG_") || standard.iter().any(|variable| variable.name == name);
        let given = all
            .iter()
            .filter(|(name, _)| is_ours(name))
            .map(|(name, value)| (name.clone(), Given { value: value.clone(), source: name.clone() }))
            .collect();
        Self { all, given }
    }

    /// What is set for one of our variables.
    pub(super) fn get(&self, name: &str) -> Option<&Given> {
        self.given.get(name)
    }

    /// The value of any variable of the process, also another program's.
    pub(super) fn foreign(&self, name: &str) -> Option<&str> {
        self.all.get(name).map(String::as_str)
    }

    /// Our variables that are set.
    pub(super) fn names(&self) -> impl Iterator<Item = &str> {
        self.given.keys().map(String::as_str)
    }

    /// Takes the value of another program's variable, unless ours is set.
    pub(super) fn adopt(&mut self, name: &str, foreign: &str) {
        if let Some(value) = self.all.get(foreign).cloned() {
            self.assume(name, &value, foreign);
        }
    }

    /// Gives our variable a value, unless it is set.
    pub(super) fn assume(&mut self, name: &str, value: &str, source: &str) {
        let given = || Given { value: value.to_owned(), source: source.to_owned() };
        self.given.entry(name.to_owned()).or_insert_with(given);
    }

    /// Checks each variable by itself and forgets those that are wrong, so that all problems are found.
    pub(super) fn check(&mut self, variables: &[Variable], problems: &mut Problems) {
        self.given.retain(|name, given| {
            let problem = match variables.iter().find(|variable| variable.name == name) {
                Some(variable) => given.check(&variable.rule).err(),
                None => Some(unknown(name, variables)),
            };
            let sound = problem.is_none();
            problem.into_iter().for_each(|problem| problems.add(problem));
            sound
        });
    }

    /// Reads the struct whose fields are called like our variables without `prefix`. What is not set keeps its default.
    pub(super) fn read<T: DeserializeOwned>(&self, prefix: &str, problems: &mut Problems) -> Option<T> {
        let pairs = self.given.iter().map(|(name, given)| (name.clone(), given.value.clone()));
        envy::prefixed(prefix).from_iter(pairs).map_err(|error| problems.add(error.to_string())).ok()
    }
}

impl Given {
    fn check(&self, rule: &Rule) -> Result<(), String> {
        let hint = if self.is_quoted() { " (it stands in quotes, which docker --env-file leaves there)" } else { "" };
        let told = |complaint| format!("{} is {:?}; {complaint}{hint}", self.source, rule.shown(&self.value));
        rule.check(&self.value).map_err(told)
    }

    pub(super) fn is_quoted(&self) -> bool {
        is_quoted(&self.value)
    }
}

/// Whether the text stands in quotation marks, as a shell or Laravel would take off.
pub(super) fn is_quoted(text: &str) -> bool {
    ['"', '\''].iter().any(|mark| text.len() > 1 && text.starts_with(*mark) && text.ends_with(*mark))
}

/// Shows no value: there are secrets among them.
impl fmt::Debug for Environment {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_set().entries(self.names()).finish()
    }
}

/// Kubernetes gives each container variables about the services of its namespace: for a service called `gaung` they
/// have our prefix.
fn unknown(name: &str, variables: &[Variable]) -> String {
    if name.ends_with("_SERVICE_HOST") || name.contains("_SERVICE_PORT") || name.contains("_TCP") {
        return format!("{name} is unknown; if Kubernetes set it, set enableServiceLinks: false for the pod");
    }
    problems::unknown(name, variables.iter().map(|variable| variable.name))
}
