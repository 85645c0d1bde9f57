//! The documentation tells of everything that a user can set, measure or be told.

use gaung::{
    config,
    metrics::{catalogue, soketi},
    protocol::Close,
};

/// The defaults of these depend on the machine.
const BY_CORES: [&str; 2] = ["GAUNG_HTTP_THREADS", "GAUNG_ROOM_THREADS"];

/// Fails with the rows that no line of the page begins with.
fn check(page: &str, rows: impl Iterator<Item = String>) {
    let file = format!("{}/docs/{page}", env!("CARGO_MANIFEST_DIR"));
    let text = std::fs::read_to_string(&file).expect(page);
    let missing: Vec<String> = rows.filter(|row| !text.lines().any(|line| line.starts_with(row))).collect();
    assert!(missing.is_empty(), "docs/{page} lacks these rows:\n{}", missing.join("\n"));
}

#[test]
fn every_variable_has_a_row_with_its_default() {
    check(
        "configuration.md",
        config::variables().into_iter().map(|variable| match variable.default.as_str() {
            _ if BY_CORES.contains(&variable.name) => format!("| `{}` |", variable.name),
            "" => format!("| `{}` | – |", variable.name),
            default => format!("| `{}` | `{default}` |", variable.name),
        }),
    );
}

#[test]
fn every_metric_has_a_row_with_its_meaning() {
    check(
        "operations.md",
        catalogue::ALL.iter().map(|metric| {
            let kind = format!("{:?}", metric.kind).to_lowercase();
            let label = metric.labels.first().map_or("–".to_owned(), |label| format!("`{label}`"));
            format!("| `{}` | {kind} | {label} | {} |", metric.name, metric.meaning)
        }),
    );
}

#[test]
fn every_name_of_soketis_has_a_row_with_what_it_is_here() {
    check(
        "operations.md",
        soketi::ALL.iter().map(|alias| {
            let metric = alias.theirs;
            let kind = format!("{:?}", metric.kind).to_lowercase();
            let ours = alias.ours.split(" - ").map(|name| format!("`{name}`")).collect::<Vec<_>>().join(" − ");
            format!("| `soketi_{}` | {kind} | {ours} | {} |", metric.name, metric.meaning)
        }),
    );
}

#[test]
fn every_close_that_a_client_does_not_begin_has_a_row_with_its_code_and_text() {
    let closes = Close::ALL.into_iter().filter(|close| !matches!(close, Close::Echo(_)));
    check("protocol.md", closes.map(|close| format!("| {} | `{}` | {} |", close.code(), close.name(), close.text())));
}
