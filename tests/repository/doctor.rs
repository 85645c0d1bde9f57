//! docs/it-does-not-connect.md names what `gaung doctor` finds and what the server logs, and docs/operations.md lists it.

use std::collections::BTreeSet;

use super::files::{files, read, root};

const PAGE: &str = "docs/it-does-not-connect.md";

/// The cells of the page's rows: what one sees, what the log says, what it is, and what the doctor calls it.
fn rows() -> Vec<[String; 4]> {
    let page = read(&root().join(PAGE));
    let rows = page.lines().filter(|line| line.starts_with("| ") && !line.starts_with("| one sees"));
    rows.map(|row| {
        let cells: Vec<String> = row.trim_matches('|').split('|').map(|cell| cell.trim().to_owned()).collect();
        cells.try_into().unwrap_or_else(|_| panic!("four cells: {row}"))
    })
    .collect()
}

/// What stands between backquotes.
fn quoted(text: &str) -> Vec<String> {
    text.split('`').skip(1).step_by(2).map(str::to_owned).collect()
}

/// The kinds of problems in the doctor's sentences: each is the first word of a finding.
fn findings() -> BTreeSet<String> {
    let files = ["finding.rs", "xhr_finding.rs"].map(|file| read(&root().join("src/cli/doctor").join(file)));
    let code: String = files.concat().split_whitespace().collect::<Vec<_>>().join(" ");
    let code = code.replace("( \"", "(\"");
    let words = code.split("(\"").skip(1).filter_map(|rest| rest.split_once("\","));
    words.map(|(word, _)| word).filter(|word| is_name(word)).map(str::to_owned).collect()
}

fn is_name(word: &str) -> bool {
    word.bytes().all(|byte| byte.is_ascii_lowercase() || byte == b'_')
}

#[test]
fn every_finding_has_a_symptom_and_every_named_finding_exists() {
    let named: BTreeSet<String> = rows().iter().flat_map(|[.., finding]| quoted(finding)).collect();
    let known = findings();
    assert!(known.len() > 30, "{known:?}");
    assert_eq!(named, known);
}

#[test]
fn every_finding_is_listed_with_its_step() {
    let page = read(&root().join("docs/operations.md"));
    let (_, table) = page.split_once("| step | `problem` | what is wrong |").expect("the page has the table");
    let rows = table.lines().skip(2).take_while(|line| line.starts_with('|'));
    let listed: BTreeSet<String> = rows.flat_map(|row| quoted(row.split('|').nth(2).unwrap_or_default())).collect();
    assert_eq!(listed, findings());
}

#[test]
fn every_line_of_the_log_is_one_of_the_servers() {
    let quotes: Vec<String> = rows().iter().flat_map(|[_, log, ..]| quoted(log)).collect();
    assert!(quotes.len() > 5, "{quotes:?}");
    let code: Vec<String> = files("src", &["rs"]).iter().map(|file| joined(&read(file))).collect();
    let unknown: Vec<_> =
        quotes.iter().filter(|quote| !code.iter().any(|file| file.contains(quote.as_str()))).collect();
    assert!(unknown.is_empty(), "no such line in src: {unknown:#?}");
}

/// Code whose texts are whole, wherever they go on in the next line.
fn joined(code: &str) -> String {
    code.split("\\\n").enumerate().map(|(part, text)| if part == 0 { text } else { text.trim_start() }).collect()
}
