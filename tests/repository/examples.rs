//! The files with which a deployment begins: a page links to each and a test reads it, and neither they nor the pages about
//! deployment name a variable that the server does not have.

use std::{collections::BTreeSet, path::PathBuf};

use gaung::config;

use super::{
    files::{files, read, root},
    papers,
};

const FOLDER: &str = "docs/examples";

/// The endings of files that are deployed; the others are pages and scripts, which have tests of their own.
const DEPLOYED: &[&str] = &["cfg", "conf", "env", "service", "yaml"];

#[test]
fn a_page_links_to_every_file_of_a_deployment() {
    let pages: Vec<String> = papers::pages().iter().map(|page| read(page)).collect();
    let unlinked = |name: &String| {
        let link = format!("examples/{name})");
        !pages.iter().any(|page| page.contains(&link))
    };
    let lonely: Vec<String> = names().into_iter().filter(unlinked).collect();
    assert!(lonely.is_empty(), "no page links to {lonely:#?}");
}

#[test]
fn a_test_reads_every_file_of_a_deployment() {
    let tests: Vec<String> = files("tests", &["py"]).iter().map(|test| read(test)).collect();
    let unread = |name: &String| {
        let quoted = format!("\"{name}\"");
        !tests.iter().any(|test| test.contains(&quoted))
    };
    let untested: Vec<String> = names().into_iter().filter(unread).collect();
    assert!(untested.is_empty(), "no test names {untested:#?}");
}

#[test]
fn examples_and_their_pages_name_only_variables_that_exist() {
    let known: BTreeSet<&str> = config::variables().iter().map(|variable| variable.name).collect();
    let mut named = 0;
    let mut unknown = Vec::new();
    for file in deployed().into_iter().chain(files("docs/deployment", &["md"])) {
        for variable in variables(&read(&file)) {
            named += 1;
            if !known.contains(variable.as_str()) {
                unknown.push(format!("{}: {variable}", file.display()));
            }
        }
    }
    assert!(named > 60, "{named} variables were named");
    assert!(unknown.is_empty(), "{unknown:#?}");
}

fn deployed() -> Vec<PathBuf> {
    files(FOLDER, DEPLOYED)
}

/// The files' paths below the folder.
fn names() -> Vec<String> {
    let below = |file: PathBuf| {
        let path = file.strip_prefix(root().join(FOLDER)).expect("the file lies below the folder").to_owned();
        path.into_os_string().into_string().expect("its name is text")
    };
    deployed().into_iter().map(below).collect()
}

/// Every `GAUNG_…` of the text, but for beginnings such as `GAUNG_APP_*`.
fn variables(text: &str) -> Vec<String> {
    let is_name = |c: char| c.is_ascii_uppercase() || c.is_ascii_digit() || c == '_';
    let ends = text.split("GAUNG_").skip(1).map(|rest| rest.split(|c| !is_name(c)).next().unwrap_or_default());
    ends.filter(|end| !end.ends_with('_') && !end.is_empty()).map(|end| format!("GAUNG_{end}")).collect()
}
