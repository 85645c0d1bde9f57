//! Everything that is wrong with a configuration, told at once.

/// What is wrong: one line each, none of which shows a secret.
#[derive(Debug, Clone, Default, PartialEq, Eq, thiserror::Error)]
#[error("{}", .0.join("\n"))]
pub struct Problems(Vec<String>);

impl Problems {
    pub fn lines(&self) -> &[String] {
        &self.0
    }

    pub(super) fn add(&mut self, problem: impl Into<String>) {
        self.0.push(problem.into());
    }

    /// `value`, or the problems if there are any.
    pub(super) fn or<T>(self, value: T) -> Result<T, Self> {
        if self.0.is_empty() { Ok(value) } else { Err(self) }
    }
}

/// `name is unknown`, and the known name that was probably meant.
pub(super) fn unknown<'a>(name: &str, known: impl IntoIterator<Item = &'a str>) -> String {
    match suggestion(name, known) {
        Some(meant) => format!("{name} is unknown; did you mean {meant}?"),
        None => format!("{name} is unknown"),
    }
}

/// Names that share less than this part of their letters were hardly meant.
const LIKENESS: f64 = 0.6;

fn suggestion<'a>(name: &str, known: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    let likeness = |other: &str| strsim::normalized_damerau_levenshtein(bare(name), bare(other));
    known
        .into_iter()
        .map(|other| (likeness(other), other))
        .filter(|(likeness, _)| *likeness >= LIKENESS)
        .max_by(|(one, _), (other, _)| one.total_cmp(other))
        .map(|(_, other)| other)
}

/// The part in which names differ.
fn bare(name: &str) -> &str {
    name.strip_prefix("GAUNG_").unwrap_or(name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_unknown_name_is_told_with_the_likeliest_known_one() {
        let check = |name: &str, expected: &str| {
            let known = ["GAUNG_PORT", "GAUNG_HOST", "GAUNG_LOG", "GAUNG_MAX_FRAME_BYTES", "max_connections"];
            assert_eq!(unknown(name, known), expected);
        };
        check("GAUNG_PROT", "GAUNG_PROT is unknown; did you mean GAUNG_PORT?");
        check("GAUNG_MAX_FRAME_SIZE", "GAUNG_MAX_FRAME_SIZE is unknown; did you mean GAUNG_MAX_FRAME_BYTES?");
        check("max_conections", "max_conections is unknown; did you mean max_connections?");
        check("GAUNG_FOO", "GAUNG_FOO is unknown");
    }
}
