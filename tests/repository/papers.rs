//! The documentation holds together: the front page is short, and every link leads to a file and a heading that exist.

use std::{
    fs,
    path::{Path, PathBuf},
};

/// The most lines of the front page.
const MAX_FRONT_PAGE_LINES: usize = 200;

/// Folders whose Markdown files are read by people.
const FOLDERS: &[&str] = &["", "docs", "helm/gaung", "helm/gaung/charts/nats"];

#[test]
fn the_front_page_is_short() {
    let lines = read(&root().join("README.md")).lines().count();
    assert!(lines <= MAX_FRONT_PAGE_LINES, "README.md has {lines} lines");
}

#[test]
fn every_link_leads_to_a_file_and_a_heading() {
    let mut broken = Vec::new();
    let mut followed = 0;
    for page in pages() {
        for link in links(&prose(&read(&page))) {
            followed += 1;
            if !leads_somewhere(&page, &link) {
                broken.push(format!("{}: {link}", page.display()));
            }
        }
    }
    assert!(followed > 60, "{followed} links were found");
    assert!(broken.is_empty(), "{broken:#?}");
}

fn root() -> PathBuf {
    env!("CARGO_MANIFEST_DIR").into()
}

/// All Markdown files of `FOLDERS`.
fn pages() -> Vec<PathBuf> {
    let entries = FOLDERS.iter().flat_map(|folder| fs::read_dir(root().join(folder)).expect(folder));
    let paths = entries.map(|entry| entry.expect("a folder is read").path());
    paths.filter(|path| path.extension().is_some_and(|extension| extension == "md")).collect()
}

/// The text without its code blocks.
fn prose(text: &str) -> String {
    text.split("```").step_by(2).collect()
}

/// The relative targets of `[text](target)`.
fn links(text: &str) -> Vec<String> {
    let targets = text.split("](").skip(1).filter_map(|rest| rest.split(')').next());
    targets.filter(|target| !target.contains("://")).map(str::to_owned).collect()
}

fn leads_somewhere(page: &Path, link: &str) -> bool {
    let (file, anchor) = link.split_once('#').unwrap_or((link, ""));
    let file = if file.is_empty() { page.to_owned() } else { page.parent().expect("a page is in a folder").join(file) };
    file.exists() && (anchor.is_empty() || anchors(&read(&file)).iter().any(|known| known == anchor))
}

/// What a page's headings are linked by.
fn anchors(text: &str) -> Vec<String> {
    let prose = prose(text);
    let headings = prose
        .lines()
        .filter_map(|line| line.trim_start_matches('#').strip_prefix(' ').filter(|_| line.starts_with('#')));
    headings.map(anchor).collect()
}

/// Lower case, hyphens for spaces, no punctuation: as GitHub has it.
fn anchor(heading: &str) -> String {
    let kept = heading
        .to_lowercase()
        .chars()
        .filter(|c| c.is_alphanumeric() || [' ', '-', '_'].contains(c))
        .collect::<String>();
    kept.replace(' ', "-")
}

fn read(file: &Path) -> String {
    fs::read_to_string(file).unwrap_or_else(|error| panic!("{}: {error}", file.display()))
}
