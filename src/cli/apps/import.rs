//! `gaung apps import`: apps of a file, or of another server, given to a running one.

use std::collections::BTreeSet;

use awc::http::Method;
use gaung::{
    app_store::import::{Found, Source},
    config,
};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::{
    members::text,
    port::{Condition, Port, path},
};
use crate::cli::{Failure, complain, line::printable, table::table};

/// What to import, and how.
#[derive(clap::Args)]
pub(super) struct Import {
    /// The apps as JSON; - reads stdin
    #[arg(value_name = "FILE")]
    file: String,
    /// Whose apps they are
    #[arg(long, value_name = "SERVER", default_value = "gaung")]
    from: From,
    /// Change nothing; say what would be done
    #[arg(long)]
    dry_run: bool,
    /// Replace apps that are there already, keys and all
    #[arg(long)]
    overwrite: bool,
}

/// An apps file of ours, Soketi's rows of MySQL or Postgres, its items of DynamoDB, or the apps of Reverb's configuration.
#[derive(Debug, Clone, Copy, clap::ValueEnum)]
enum From {
    Gaung,
    Soketi,
    Dynamodb,
    Reverb,
}

/// What became of one app.
#[derive(Debug, Serialize, Deserialize)]
struct Outcome {
    id: String,
    /// `added`, `replaced`, `kept` or `failed`.
    outcome: String,
    left: Vec<String>,
    problem: Option<String>,
}

#[derive(Debug, Deserialize)]
struct Existing {
    apps: Vec<ExistingApp>,
}

#[derive(Debug, Deserialize)]
struct ExistingApp {
    id: String,
}

impl Import {
    /// Adds one app after the other. What fails is told, and stops none of the others.
    pub(super) async fn run(self, port: &Port) -> Result<Value, Failure> {
        let source = match self.from {
            From::Gaung => Source::Gaung,
            From::Soketi => Source::Soketi,
            From::Dynamodb => Source::DynamoDb,
            From::Reverb => Source::Reverb,
        };
        let found = source
            .read(&text(&self.file)?)
            .map_err(|problem| Failure::usage(format!("{} cannot be imported: {problem}", self.file)))?;
        let existing: Existing = port.read(port.get("/apps").await?)?;
        let existing: BTreeSet<String> = existing.apps.into_iter().map(|app| app.id).collect();
        let mut outcomes = Vec::new();
        for app in found {
            let is_there = existing.contains(&app.record.id);
            outcomes.push(self.import(port, app, is_there).await);
        }
        Ok(json!({ "imported": outcomes, "dry_run": self.dry_run }))
    }

    async fn import(&self, port: &Port, Found { record, left }: Found, is_there: bool) -> Outcome {
        let (done, condition) = match (is_there, self.overwrite) {
            (true, false) => return Outcome { id: record.id, outcome: "kept".to_owned(), left, problem: None },
            (true, true) => ("replaced", Condition::Present),
            (false, _) => ("added", Condition::New),
        };
        let result = if self.dry_run {
            let alone = json!([record.to_object()]).to_string();
            config::parse_apps(&alone).map(drop).map_err(|problems| problems.to_string())
        } else {
            let body = Some(Value::Object(record.members.clone()));
            let answer = port.change(Method::PUT, &path(&[&record.id]), condition, body).await;
            answer.map(drop).map_err(|failure| failure.to_string())
        };
        let problem = result.err();
        let outcome = if problem.is_some() { "failed" } else { done };
        Outcome { id: record.id, outcome: outcome.to_owned(), left, problem }
    }
}

/// A line for each app, and on stderr what was not taken over. Fails if an app was not imported.
pub(super) fn tell(imported: &Value) -> Result<String, Failure> {
    let outcomes: Vec<Outcome> = serde_json::from_value(imported["imported"].clone())
        .map_err(|error| Failure::new(format!("the import cannot be told: {error}")))?;
    for Outcome { id, left, problem, .. } in &outcomes {
        let reasons = left.iter().map(|reason| format!("not taken over: {reason}")).chain(problem.clone());
        reasons.for_each(|reason| complain(printable(&format!("app {id}: {reason}"))));
    }
    let rows = outcomes.iter().map(|outcome| [outcome.id.clone(), said(imported, &outcome.outcome)]);
    Ok(table(["APP", "OUTCOME"], rows))
}

/// Whether every app was taken in or was there.
pub(super) fn is_whole(imported: &Value) -> bool {
    let outcomes = imported["imported"].as_array();
    outcomes.is_some_and(|outcomes| outcomes.iter().all(|outcome| outcome["outcome"] != "failed"))
}

fn said(imported: &Value, outcome: &str) -> String {
    match outcome {
        "kept" => "is there already (--overwrite replaces it)".to_owned(),
        "failed" => "failed".to_owned(),
        done if imported["dry_run"] == true => format!("would be {done}"),
        done => done.to_owned(),
    }
}
