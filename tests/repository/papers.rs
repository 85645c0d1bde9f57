//! The documentation holds together: the front page is short, links lead to files and headings, the code cites sections of
//! the protocol that exist, and ARCHITECTURE.md names files and modules that exist.

use std::{
    fs,
    path::{Path, PathBuf},
};

use super::files::{files, read, root};

/// The most lines of the front page.
const MAX_FRONT_PAGE_LINES: usize = 200;

/// The folders of code whose comments cite the protocol.
const CODE: &[&str] = &["src", "cluster", "tests"];

/// Pages that tell where things are in the code.
const MAPS: &[&str] = &["docs/ARCHITECTURE.md", "docs/CONTRIBUTING.md"];

/// Folders whose Markdown files are read by people.
const FOLDERS: &[&str] = &["", "docs", "docs/deployment", "helm/gaung", "helm/gaung/charts/nats"];

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

#[test]
fn every_citation_of_the_protocol_names_a_section() {
    let page = read(&root().join("docs/protocol.md"));
    let sections = sections(&page);
    let mut wrong = Vec::new();
    let mut cited = 0;
    // This program says what it looks for.
    let own = root().join("tests/repository");
    let code = CODE.iter().flat_map(|folder| files(folder, &["rs", "js", "py"]));
    for file in code.filter(|file| !file.starts_with(&own)) {
        for citation in read(&file).split("protocol.md").skip(1).map(citation) {
            cited += citation.len();
            let is_good = !citation.is_empty() && citation.iter().all(|section| sections.contains(section));
            if !is_good {
                wrong.push(format!("{}: {citation:?}", file.display()));
            }
        }
    }
    for section in page.replace("RFC 6455 §", "RFC 6455 ").split('§').skip(1).map(number) {
        if !sections.contains(&section) {
            wrong.push(format!("protocol.md itself: {section}"));
        }
    }
    assert!(cited > 80, "{cited} citations were found");
    assert!(wrong.is_empty(), "{wrong:#?}");
}

#[test]
fn every_file_on_a_map_exists() {
    let mut named = 0;
    let mut missing = Vec::new();
    for map in MAPS {
        for path in quoted_paths(&read(&root().join(map))) {
            named += 1;
            if !root().join(&path).exists() {
                missing.push(format!("{map}: {path}"));
            }
        }
    }
    assert!(named > 100, "{named} files were named");
    assert!(missing.is_empty(), "{missing:#?}");
}

#[test]
fn the_map_has_every_module_from_the_ground_up() {
    let page = read(&root().join("docs/ARCHITECTURE.md"));
    let (_, map) = page.split_once("\n## The map\n").expect("ARCHITECTURE.md has a map");
    let (map, _) = map.split_once("\n## ").expect("another section follows");
    let modules: Vec<&str> =
        map.lines().filter_map(|line| line.strip_prefix("| `")?.split_once('`')).map(|(module, _)| module).collect();
    assert_eq!(modules, super::ground_plan::FLOORS);
}

#[test]
fn contributing_has_every_part_of_the_tests() {
    let script = read(&root().join("tests/run"));
    let (_, parts) = script.split_once("\nall_parts=(").expect("tests/run lists its parts");
    let (parts, _) = parts.split_once(')').expect("the list ends");
    let usage = parts.split(' ').map(|part| format!("[{part}]")).collect::<Vec<_>>().join(" ");
    let page = read(&root().join("docs/CONTRIBUTING.md")).replace('\n', " ");
    assert!(
        page.contains(&format!("`tests/run [--yes] {usage}`")),
        "CONTRIBUTING.md lacks `tests/run [--yes] {usage}`"
    );
}

/// All Markdown files of `FOLDERS`.
pub fn pages() -> Vec<PathBuf> {
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
    headings(&prose(text)).map(anchor).collect()
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

/// The numbers of a page's headings, as in `### 1.9 Presence` and `## 1. WebSocket`.
fn sections(page: &str) -> Vec<String> {
    headings(&prose(page)).map(number).filter(|number| !number.is_empty()).collect()
}

fn headings(prose: &str) -> impl Iterator<Item = &str> {
    let lines = prose.lines().filter(|line| line.starts_with('#'));
    lines.filter_map(|line| line.trim_start_matches('#').strip_prefix(' '))
}

/// The sections that follow the name of the page: `§1.9`, `§2.1, §2.2`, `§3.5 to §3.7`, `§1.2–§1.13`, perhaps in two lines.
fn citation(mut text: &str) -> Vec<String> {
    let mut cited = Vec::new();
    loop {
        text = text.trim_start_matches([' ', ',', '–', '\n', '/', '!']);
        text = ["to §", "and §"]
            .iter()
            .find(|joint| text.starts_with(**joint))
            .map_or(text, |joint| &text[joint.len() - "§".len()..]);
        let Some(rest) = text.strip_prefix('§') else { return cited };
        let section = number(rest);
        text = &rest[section.len()..];
        cited.push(section);
    }
}

/// The number with which a text begins, without a dot at its end.
fn number(text: &str) -> String {
    let end = text.find(|c: char| !c.is_ascii_digit() && c != '.').unwrap_or(text.len());
    text[..end].trim_end_matches('.').to_owned()
}

/// What stands in backquotes and begins like a path of the repository.
fn quoted_paths(text: &str) -> Vec<String> {
    let quoted = prose(text).split('`').skip(1).step_by(2).map(str::to_owned).collect::<Vec<_>>();
    let is_path = |text: &String| {
        let folder = text.split('/').next().unwrap_or_default();
        text.contains('/') && root().join(folder).is_dir() && !text.contains(' ')
    };
    quoted.into_iter().filter(is_path).map(|path| path.split('#').next().unwrap_or_default().to_owned()).collect()
}
