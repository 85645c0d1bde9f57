//! The repository's files.

use std::{
    fs,
    path::{Path, PathBuf},
};

/// Folders of what was built or installed.
const MADE: &[&str] = &["node_modules", "target"];

pub fn root() -> PathBuf {
    env!("CARGO_MANIFEST_DIR").into()
}

pub fn read(file: &Path) -> String {
    fs::read_to_string(file).unwrap_or_else(|error| panic!("{}: {error}", file.display()))
}

/// The files with one of these endings at or below a place of the repository; at least one.
pub fn files(place: &str, endings: &[&str]) -> Vec<PathBuf> {
    let mut waiting = vec![root().join(place)];
    let mut files = Vec::new();
    while let Some(path) = waiting.pop() {
        if path.is_dir() {
            let entries = fs::read_dir(&path).expect("a folder is read");
            let entries = entries.map(|entry| entry.expect("a folder is read").path());
            waiting.extend(entries.filter(|entry| !MADE.iter().any(|folder| entry.ends_with(folder))));
        } else if path.extension().is_some_and(|extension| endings.iter().any(|ending| extension == *ending)) {
            files.push(path);
        }
    }
    assert!(!files.is_empty(), "nothing at {place}");
    files
}
