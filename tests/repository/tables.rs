//! The documentation tells of everything that a user can run, measure or be told.

use std::collections::BTreeSet;

use gaung::{
    metrics::{catalogue, soketi},
    protocol::{ChannelName, Close, SocketId, WebhookDetail, WebhookEvent, WebhookKind},
    webhook::payload,
};
use serde_json::{Map, Value};

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
            let labels = metric.labels.iter().map(|label| format!("`{label}`")).collect::<Vec<_>>().join(", ");
            let labels = if labels.is_empty() { "–" } else { &labels };
            format!("| `{}` | {kind} | {labels} | {} |", metric.name, metric.meaning)
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
fn every_webhook_event_has_a_row_with_its_fields_and_every_row_is_one() {
    let expected: Vec<_> =
        WebhookKind::ALL.iter().map(|kind| (kind.name().to_owned(), webhook_fields(*kind))).collect();
    for (page, head) in [
        (include_str!("../../docs/webhooks.md"), "| event | fields beside `name`, `channel` and `id` | when |"),
        (include_str!("../../docs/protocol.md"), "| `name` | fields beside `channel` and `id` |"),
    ] {
        let (_, rows) = page.split_once(head).expect("the page has the table");
        let rows = rows.lines().skip(2).take_while(|line| line.starts_with('|'));
        let of_row = |row| words(row, 1).into_iter().map(move |name| (name, words(row, 2).into_iter().collect()));
        assert_eq!(rows.flat_map(of_row).collect::<Vec<_>>(), expected, "{head}");
    }
}

/// The words in backticks in one cell of a row.
fn words(row: &str, cell: usize) -> Vec<String> {
    let cell = row.split('|').nth(cell).unwrap_or_default();
    cell.split('`').skip(1).step_by(2).map(str::to_owned).collect()
}

/// The fields that only events of this kind have, as they are posted.
fn webhook_fields(kind: WebhookKind) -> BTreeSet<String> {
    let text = String::new;
    let detail = match kind {
        WebhookKind::ChannelOccupied => WebhookDetail::ChannelOccupied,
        WebhookKind::ChannelVacated => WebhookDetail::ChannelVacated,
        WebhookKind::MemberAdded => WebhookDetail::MemberAdded { user_id: text() },
        WebhookKind::MemberRemoved => WebhookDetail::MemberRemoved { user_id: text() },
        WebhookKind::ClientEvent => WebhookDetail::ClientEvent {
            event: text(),
            data: text(),
            socket_id: SocketId::from_bits(1),
            user_id: Some(text()),
        },
        WebhookKind::CacheMiss => WebhookDetail::CacheMiss,
        WebhookKind::SubscriptionCount => WebhookDetail::SubscriptionCount { count: 1 },
    };
    let event = WebhookEvent { channel: ChannelName::parse("a", 200).expect("the name is valid"), detail };
    let posted: Map<String, Value> =
        serde_json::from_str(&payload::encode(&event, "1")).expect("an event is an object");
    assert_eq!(posted["name"], kind.name());
    posted
        .into_iter()
        .map(|(name, _)| name)
        .filter(|name| !["name", "channel", "id"].contains(&name.as_str()))
        .collect()
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
