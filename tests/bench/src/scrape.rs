//! Case k: a scrape of the metrics of very many apps, beside one of the only app.

use std::{env, fs, path::PathBuf};

use serde_json::json;

use super::{
    BenchError, Case, Options,
    child::Child,
    handshake,
    plan::{APPS, Plan, SCRAPES},
    progress,
    report::{Comparison, Report, Row, grouped},
    round::Figures,
    swarm,
};

/// Times the scrapes of both servers in turns.
pub fn measure(plan: &Plan, options: &Options, report: &mut Report) -> Result<(), BenchError> {
    let title = format!("a scrape of {} apps", grouped(APPS.into()));
    let file = AppsFile::new(APPS)?;
    let (many, one) = (Child::server_of(&file.0, options)?, Child::server(options)?);
    let (mut many_rounds, mut one_rounds) = (Vec::new(), Vec::new());
    // The first round of both warms up.
    for round in 0..=plan.short_rounds {
        progress::round(&title, round, plan.short_rounds);
        for (server, rounds) in [(&many, &mut many_rounds), (&one, &mut one_rounds)] {
            let scrapes = vec![handshake::get(server.target.admin, "/metrics"); SCRAPES];
            rounds.push(swarm::ask(&server.target, server.target.admin, 1, &scrapes)?);
        }
    }
    let (many_rounds, one_rounds) = (&many_rounds[1..], &one_rounds[1..]);
    let figures = Figures::of(many_rounds);
    report.aim(&format!("p99 of {title}"), figures.p99_us / 1_000.0, 50.0, "ms");
    let ratio = Comparison::of("the scrape of one app", many_rounds, one_rounds, |round| round.cpu);
    report.rows.push(Row { comparison: Some(ratio), ..Row::new(Case::Scrape, &title, figures) });
    report.rows.push(Row::new(Case::Scrape, "a scrape of one app", Figures::of(one_rounds)));
    Ok(())
}

/// A file with apps, which goes with the measurement.
struct AppsFile(PathBuf);

impl AppsFile {
    fn new(count: u32) -> Result<Self, BenchError> {
        let app = |number| json!({"id": format!("app-{number}"), "key": format!("key-{number}"), "secret": "secret"});
        let apps: Vec<_> = (0..count).map(app).collect();
        let file = Self(env::temp_dir().join(format!("gaung-bench-{}.json", std::process::id())));
        let written = fs::write(&file.0, json!(apps).to_string());
        written.map_err(|error| BenchError::io("writing the file with the apps to serve", error))?;
        Ok(file)
    }
}

impl Drop for AppsFile {
    fn drop(&mut self) {
        // Nothing is lost with a file that stays where the system keeps what is temporary.
        let _ = fs::remove_file(&self.0);
    }
}
