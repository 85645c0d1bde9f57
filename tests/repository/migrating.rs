//! The tables of docs/migrating.md, for those who come from another server, say what is so.

use gaung::config;

use super::common::process::run;

/// Values that Laravel's variables may have, other than our defaults, and what becomes of them; all others stay as they
/// are.
const VALUES: [(&str, &str, &str); 8] = [
    ("REVERB_SERVER_HOST", "0.0.0.0", "0.0.0.0"),
    ("REVERB_SERVER_PATH", "/reverb", "/reverb"),
    ("REVERB_APP_ACCEPT_CLIENT_EVENTS_FROM", "none", "false"),
    ("REVERB_APP_SECRET", "s3cret", "********"),
    ("PUSHER_APP_SECRET", "s3cret", "********"),
    ("REVERB_APP_MAX_MESSAGE_SIZE", "10000", "10000"),
    ("REVERB_SERVER_PORT", "8080", "8080"),
    ("REVERB_APP_RATE_LIMIT_TERMINATE", "true", "true"),
];

/// What must be on for others to be read.
const SWITCH: (&str, &str) = ("REVERB_APP_RATE_LIMITING_ENABLED", "true");

/// A row of a table: their names, whether they are read, and ours.
struct Row {
    theirs: Vec<String>,
    is_read: bool,
    ours: Vec<String>,
}

/// The rows of the page.
fn rows() -> Vec<Row> {
    let page = concat!(env!("CARGO_MANIFEST_DIR"), "/docs/migrating.md");
    let page = std::fs::read_to_string(page).expect("docs/migrating.md");
    let rows = page.lines().filter(|line| line.starts_with("| ")).filter_map(row);
    rows.collect()
}

/// `None` for headings.
fn row(line: &str) -> Option<Row> {
    let cells: Vec<_> = line.split('|').map(str::trim).collect();
    let ["", theirs, read, ours, ""] = cells[..] else { panic!("three cells: {line}") };
    let is_read = match read {
        "yes" => true,
        "no" => false,
        _ => return None,
    };
    Some(Row { theirs: names(theirs), is_read, ours: names(ours) })
}

/// What stands between backquotes.
fn names(cell: &str) -> Vec<String> {
    cell.split('`').skip(1).step_by(2).map(str::to_owned).collect()
}

fn check(owner: &str) {
    let read: Vec<_> = rows().into_iter().filter(|row| row.is_read && row.theirs[0].starts_with(owner)).collect();
    let pairs: Vec<_> = read.iter().flat_map(|row| row.theirs.iter().zip(&row.ours)).collect();
    assert!(pairs.len() >= 3, "the credentials at least");
    let value = |theirs: &str| {
        let own = VALUES.iter().find(|(name, ..)| *name == theirs);
        own.map_or(("77", "77"), |(_, value, becomes)| (*value, *becomes))
    };
    let variables = pairs.iter().map(|(theirs, _)| (theirs.as_str(), value(theirs).0));
    let variables: Vec<_> = variables.chain([SWITCH]).collect();
    let (code, stdout, stderr) = run(&["check"], &variables);
    assert_eq!((code, stderr.as_str()), (Some(0), ""));
    for (theirs, ours) in pairs {
        let line = format!("{ours}={}  # {theirs}\n", value(theirs).1);
        assert!(stdout.contains(&line), "{line} in {stdout}");
    }
}

#[test]
fn what_is_said_to_be_read_of_reverb_is_in_force() {
    check("REVERB_");
}

#[test]
fn what_is_said_to_be_read_of_laravel_websockets_is_in_force() {
    check("PUSHER_");
}

#[test]
fn what_is_said_not_to_be_read_changes_nothing_and_is_no_error() {
    let rows: Vec<_> = rows().into_iter().filter(|row| !row.is_read).collect();
    let theirs: Vec<_> =
        rows.iter().flat_map(|row| &row.theirs).filter(|name| name.contains('_') && name.is_ascii()).collect();
    assert!(theirs.len() > 30, "{theirs:?}");
    let variables: Vec<_> = theirs.iter().map(|name| (name.as_str(), "77")).collect();
    let nothing = run(&["check"], &[]);
    assert_eq!(nothing.0, Some(0));
    assert_eq!(run(&["check"], &variables), nothing);
}

#[test]
fn every_name_of_ours_is_a_variable_and_each_of_theirs_has_one() {
    let variables = config::variables();
    for row in rows() {
        for ours in row.ours.iter().filter(|name| name.starts_with("GAUNG_")) {
            assert!(variables.iter().any(|variable| variable.name == ours), "{ours}");
        }
        assert!(!row.ours.is_empty() && (!row.is_read || row.theirs.len() == row.ours.len()), "{:?}", row.theirs);
    }
}
