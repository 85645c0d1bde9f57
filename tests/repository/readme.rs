//! The README tells of everything that a user can set, measure or be told.

use gaung::{
    config,
    metrics::{catalogue, soketi},
    protocol::Close,
};

/// The defaults of these depend on the machine.
const BY_CORES: [&str; 2] = ["GAUNG_HTTP_THREADS", "GAUNG_ROOM_THREADS"];

/// Fails with the rows that no line of the README begins with.
fn check(rows: impl Iterator<Item = String>) {
    let readme = std::fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/README.md")).expect("README.md");
    let missing: Vec<String> = rows.filter(|row| !readme.lines().any(|line| line.starts_with(row))).collect();
    assert!(missing.is_empty(), "README.md lacks these rows:\n{}", missing.join("\n"));
}

#[test]
fn every_variable_has_a_row_with_its_default() {
    check(config::variables().into_iter().map(|variable| match variable.default.as_str() {
        _ if BY_CORES.contains(&variable.name) => format!("| `{}` |", variable.name),
        "" => format!("| `{}` | – |", variable.name),
        default => format!("| `{}` | `{default}` |", variable.name),
    }));
}

#[test]
fn every_metric_has_a_row_with_its_meaning() {
    check(catalogue::ALL.iter().map(|metric| {
        let kind = format!("{:?}", metric.kind).to_lowercase();
        let label = metric.labels.first().map_or("–".to_owned(), |label| format!("`{label}`"));
        format!("| `{}` | {kind} | {label} | {} |", metric.name, metric.meaning)
    }));
}

#[test]
fn every_name_of_soketis_has_a_row_with_what_it_is_here() {
    check(soketi::ALL.iter().map(|alias| {
        let metric = alias.theirs;
        let kind = format!("{:?}", metric.kind).to_lowercase();
        let ours = alias.ours.split(" - ").map(|name| format!("`{name}`")).collect::<Vec<_>>().join(" − ");
        format!("| `soketi_{}` | {kind} | {ours} | {} |", metric.name, metric.meaning)
    }));
}

#[test]
fn every_close_that_a_client_does_not_begin_has_a_row_with_its_code_and_text() {
    let closes = Close::ALL.into_iter().filter(|close| !matches!(close, Close::Echo(_)));
    check(closes.map(|close| format!("| {} | `{}` | {} |", close.code(), close.name(), close.text())));
}
