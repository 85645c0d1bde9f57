//! The tables of docs/configuration.md are those of the code. `UPDATE=1 cargo nextest run --test repository` writes them.

use std::{env, fs};

use gaung::config::{self, Section, Variable};

const PAGE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/docs/configuration.md");

const HEAD: &str = "| variable | default | meaning | allowed |\n|---|---|---|---|\n";

/// The defaults of these depend on the machine.
const BY_CORES: [&str; 2] = ["GAUNG_HTTP_THREADS", "GAUNG_ROOM_THREADS"];

#[test]
fn the_tables_of_variables_are_those_of_the_code() {
    let page = fs::read_to_string(PAGE).expect("the page can be read");
    let generated = config::sections().iter().fold(page.clone(), |page, section| with_table(&page, section));
    if env::var_os("UPDATE").is_some() {
        fs::write(PAGE, &generated).expect("the page can be written");
    } else {
        let missing: Vec<_> = generated.lines().filter(|line| !page.lines().any(|other| other == *line)).collect();
        let message = "docs/configuration.md differs from the code: run this test with UPDATE=1";
        assert!(page == generated, "{message}\n{}", missing.join("\n"));
    }
}

#[test]
fn no_other_table_has_rows_of_variables() {
    let page = fs::read_to_string(PAGE).expect("the page can be read");
    assert_eq!(page.matches(HEAD).count(), config::sections().len());
    let rows = ["\n| `GAUNG_", "\n| `OTEL_"].map(|row| page.matches(row).count());
    assert_eq!(rows.iter().sum::<usize>(), config::variables().len());
}

/// The page with this table in its section.
fn with_table(page: &str, Section { title, variables }: &Section) -> String {
    let heading = format!("\n## {title}\n");
    let (before, section) = page.split_once(&heading).unwrap_or_else(|| panic!("the page has the section {title}"));
    let (text, table) = section.split_once(HEAD).unwrap_or_else(|| panic!("{title} has a table"));
    let rest = table.find("\n\n").map_or("", |end| &table[end + 1..]);
    let rows: String = variables.iter().map(row).collect();
    format!("{before}{heading}{text}{HEAD}{rows}{rest}")
}

fn row(variable: &Variable) -> String {
    let default = match variable.default.as_str() {
        _ if BY_CORES.contains(&variable.name) => "half the cores".to_owned(),
        "" => "–".to_owned(),
        default => format!("`{default}`"),
    };
    let allowed = allowed(&variable.rule.to_string());
    format!("| `{}` | {default} | {} | {allowed} |\n", variable.name, variable.meaning)
}

/// A rule as the tables have it: numbers with commas, and in fewer words.
fn allowed(rule: &str) -> String {
    let Some(range) = rule.strip_prefix("a whole number from ") else { return rule.to_owned() };
    let (range, quota) =
        range.strip_suffix(", or 0 for no limit").map_or((range, ""), |range| (range, "0: no limit; "));
    let numbers: Vec<_> = range.split(" to ").map(with_commas).collect();
    format!("{quota}{}", numbers.join(" to "))
}

fn with_commas(digits: &str) -> String {
    let groups: Vec<_> = digits.as_bytes().rchunks(3).rev().map(String::from_utf8_lossy).collect();
    groups.join(",")
}
