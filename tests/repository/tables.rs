//! The documentation tells of everything that a user can run, measure or be told.

use gaung::{
    metrics::{catalogue, soketi},
    protocol::Close,
};

use super::common::process::run;

/// Fails with the rows that no line of the page begins with, whatever its words are links to.
fn check(page: &str, rows: impl Iterator<Item = String>) {
    let file = format!("{}/docs/{page}", env!("CARGO_MANIFEST_DIR"));
    let text = std::fs::read_to_string(&file).expect(page);
    let lines: Vec<String> = text.lines().map(without_links).collect();
    let missing: Vec<String> = rows.filter(|row| !lines.iter().any(|line| line.starts_with(row))).collect();
    assert!(missing.is_empty(), "docs/{page} lacks these rows:\n{}", missing.join("\n"));
}

/// `[text](target)` as `text`.
fn without_links(line: &str) -> String {
    let mut parts = line.split("](");
    let mut plain = parts.next().unwrap_or_default().to_owned();
    for part in parts {
        let Some(open) = plain.rfind('[') else { return line.to_owned() };
        plain.remove(open);
        plain.push_str(part.split_once(')').map_or(part, |(_, rest)| rest));
    }
    plain
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

#[test]
fn every_command_has_a_row_and_every_row_is_a_command() {
    let (code, help, _) = run(&["--help"], &[]);
    assert_eq!(code, Some(0));
    let (groups, _) = help.split_once("\nOptions:").expect("the options follow the commands");
    let mut commands: Vec<&str> =
        groups.lines().filter_map(|line| line.strip_prefix("  ")?.split_once("  ")).map(|(name, _)| name).collect();
    commands.retain(|name| *name != "help");
    let page = include_str!("../../docs/operations.md");
    let (_, table) = page.split_once("\n## Command line\n").expect("the page has the section");
    let (table, _) = table.split_once("\n| exit code |").expect("the table of exit codes follows");
    let mut rows: Vec<&str> = table
        .lines()
        .filter_map(|line| line.strip_prefix("| ")?.split('`').nth(1))
        .filter(|name| *name != "--json")
        .collect();
    commands.sort_unstable();
    rows.sort_unstable();
    assert!(commands.len() > 10, "{help}");
    assert_eq!(commands, rows);
}
