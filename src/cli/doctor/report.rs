//! What each step found: lines as they come, or one JSON object at the end.

use serde::Serialize;

use super::super::{Failure, line::printable, print};

/// How the steps are told.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Format {
    /// One line each, at once.
    Lines,
    /// One object when all are done.
    Json,
}

/// What is wrong and what to do, in sentences.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Finding {
    /// The kind of it in one word, for programs; docs/operations.md lists all.
    pub problem: &'static str,
    pub text: String,
    pub advice: String,
}

#[derive(Debug, Serialize)]
pub(super) struct Report {
    #[serde(skip)]
    format: Format,
    ok: bool,
    url: String,
    steps: Vec<Step>,
}

#[derive(Debug, Serialize)]
struct Step {
    step: &'static str,
    ok: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    problem: Option<&'static str>,
    text: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    advice: Option<String>,
}

impl Finding {
    /// A problem with what to do about it.
    pub(super) fn new(problem: &'static str, text: impl Into<String>, advice: impl Into<String>) -> Self {
        Self { problem, text: text.into(), advice: advice.into() }
    }
}

impl Report {
    /// Nothing is known yet of the server at this address.
    pub(super) fn new(url: &str, format: Format) -> Self {
        Self { format, ok: true, url: url.to_owned(), steps: Vec::new() }
    }

    /// Tells the outcome of a step, and hands on what it brought if it went well.
    pub(super) fn add<T>(
        &mut self,
        step: &'static str,
        outcome: Result<(String, T), Finding>,
    ) -> Result<Option<T>, Failure> {
        let (step, found) = match outcome {
            Ok((text, found)) => {
                (Step { step, ok: true, problem: None, text: printable(&text), advice: None }, Some(found))
            }
            Err(Finding { problem, text, advice }) => {
                let text = printable(&text);
                (Step { step, ok: false, problem: Some(problem), text, advice: Some(printable(&advice)) }, None)
            }
        };
        if self.format == Format::Lines {
            print(step.line())?;
        }
        self.ok &= step.ok;
        self.steps.push(step);
        Ok(found)
    }

    /// Tells the rest. A failure if a step failed.
    pub(super) fn end(self) -> Result<(), Failure> {
        if self.format == Format::Json {
            print(serde_json::json!(self))?;
        }
        match self.steps.iter().filter(|step| !step.ok).count() {
            0 => Ok(()),
            1 => Err(Failure::new("1 step failed")),
            failed => Err(Failure::new(format!("{failed} steps failed"))),
        }
    }
}

impl Step {
    fn line(&self) -> String {
        let (verdict, text) = (if self.ok { "ok" } else { "failed" }, &self.text);
        let advice = self.advice.as_ref().map(|advice| format!(" {advice}")).unwrap_or_default();
        format!("{verdict:<8}{:<11}{text}{advice}", self.step)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_step_is_a_line_with_its_verdict_and_what_to_do() {
        let mut report = Report::new("http://a", Format::Json);
        assert_eq!(report.add("name", Ok(("a is 10.0.0.1".to_owned(), 7))).unwrap(), Some(7));
        let finding = Finding::new("nothing_listens", "Nothing listens\u{1b}.", "Start the server.");
        assert_eq!(report.add::<u8>("port", Err(finding)).unwrap(), None);
        let lines: Vec<_> = report.steps.iter().map(Step::line).collect();
        assert_eq!(
            lines,
            ["ok      name       a is 10.0.0.1", "failed  port       Nothing listens\\u{1b}. Start the server."]
        );
        assert_eq!(
            serde_json::to_string(&report).unwrap(),
            concat!(
                r#"{"ok":false,"url":"http://a","steps":[{"step":"name","ok":true,"text":"a is 10.0.0.1"},"#,
                r#"{"step":"port","ok":false,"problem":"nothing_listens","text":"Nothing listens\\u{1b}.","#,
                r#""advice":"Start the server."}]}"#
            )
        );
        assert_eq!(report.end().unwrap_err().to_string(), "gaung: 1 step failed");
    }
}
