//! Keeps the arrows of the design: what is pure stays pure, what is small stays small.

use std::path::Path;

use super::files::{files, read, root};

/// The most lines of a source file.
const MAX_LINES: usize = 400;

/// The most lines of a function, from `fn` to its closing brace.
const MAX_FUNCTION_LINES: usize = 50;

/// Folders and files that decide without acting: values in, values out.
const PURE: &[&str] = &[
    "cluster/src",
    "src/protocol",
    "src/tenant",
    "src/app/rate.rs",
    "src/app_store/change.rs",
    "src/app_store/file_text.rs",
    "src/app_store/import",
    "src/app_store/known.rs",
    "src/app_store/record.rs",
    "src/app_store/sealed.rs",
    "src/cluster/question.rs",
    "src/descriptors.rs",
    "src/activity/filter.rs",
    "src/event/answers.rs",
    "src/event/cached.rs",
    "src/event/wire.rs",
    "src/http/invalid_body.rs",
    "src/http/invalid_event.rs",
    "src/http/publication.rs",
    "src/issuer/attempts.rs",
    "src/page/book/moving.rs",
    "src/page/book.rs",
    "src/page/handed.rs",
    "src/page/key.rs",
    "src/page/left.rs",
    "src/page/messages.rs",
    "src/page/positions.rs",
    "src/room/count_notice.rs",
    "src/room/dialect.rs",
    "src/room/from_peers.rs",
    "src/room/held.rs",
    "src/room/grace.rs",
    "src/room/history.rs",
    "src/room/history/budget.rs",
    "src/room/history/completeness.rs",
    "src/room/history/exchange.rs",
    "src/room/history/origin.rs",
    "src/room/history/moment.rs",
    "src/room/history/shared.rs",
    "src/room/history/wire.rs",
    "src/room/inquiry.rs",
    "src/room/joined.rs",
    "src/room/member_notices.rs",
    "src/room/membership.rs",
    "src/room/page_slots.rs",
    "src/room/present.rs",
    "src/room/routing.rs",
    "src/room/state",
    "src/room/stored.rs",
    "src/otlp/request.rs",
    "src/revocations/list.rs",
    "src/revocations/wire.rs",
    "src/session/liveness.rs",
    "src/session/origin.rs",
    "src/session/subscriptions.rs",
    "src/session/waiting.rs",
    "src/spans/sampler.rs",
    "src/tls_stream/records.rs",
    "src/turn.rs",
    "src/webhook/ids.rs",
    "src/webhook/stored_event.rs",
    "src/webhook/payload.rs",
    "src/webhook/debounce.rs",
];

/// The modules of the server from the ground up: each uses only those before it.
pub const FLOORS: &[&str] = &[
    "descriptors",
    "log",
    "process",
    "protocol",
    "turn",
    "event",
    "fatal",
    "tenant",
    "activity",
    "tls_stream",
    "outbox",
    "spans",
    "metrics",
    "files",
    "tls",
    "outgoing",
    "config",
    "issuer",
    "otlp",
    "app",
    "app_store",
    "capacity",
    "connection",
    "cluster",
    "readiness",
    "rebalance",
    "trace_log",
    "webhook",
    "repeats",
    "revocations",
    "page",
    "room",
    "session",
    "http",
    "admin",
    "node",
];

/// What acts inside a pure folder.
const ACTING: &[&str] = &[
    "cluster/src/bus",
    "cluster/src/queue",
    "cluster/src/records",
    "cluster/src/seldom.rs",
    "cluster/src/jetstream",
    "cluster/src/history/mod.rs",
    "cluster/src/history/mark_table.rs",
    "cluster/src/history/reader.rs",
    "cluster/src/history/setup.rs",
    "cluster/src/history/worker.rs",
];

/// What only acting code uses: actors, awaiting, the clock, the log.
const IMPURE: &[&str] = &["actix::", "actix_", "tokio::", ".await", "tracing::", "Instant::now", "SystemTime"];

#[test]
fn pure_code_knows_no_actor_no_clock_and_no_log() {
    let mut found = Vec::new();
    for file in PURE.iter().flat_map(|place| files(place, &["rs"])).filter(|file| !acts(file) && !is_test(file)) {
        let code = code_of(&file);
        found.extend(IMPURE.iter().filter(|word| uses(&code, word)).map(|word| (file.clone(), *word)));
    }
    assert!(found.is_empty(), "{found:#?}");
}

#[test]
fn a_module_uses_only_those_below_it() {
    let floor = |module: &str| FLOORS.iter().position(|name| *name == module);
    let mut wrong = Vec::new();
    for file in
        files("src", &["rs"]).into_iter().filter(|file| !is_test(file) && !file.iter().any(|part| part == "cli"))
    {
        let module = module_of(&file);
        if ["lib", "main"].contains(&&*module) {
            continue;
        }
        let own = floor(&module).unwrap_or_else(|| panic!("{module} has no floor"));
        let used = modules_used(&code_of(&file)).into_iter().filter(|used| floor(used).is_none_or(|used| used > own));
        wrong.extend(used.map(|used| format!("{} uses {used}", file.display())));
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
}

#[test]
fn sessions_and_the_trigger_api_do_not_know_what_carries_messages_between_nodes() {
    for file in ["src/http", "src/session"].iter().flat_map(|place| files(place, &["rs"])) {
        assert!(!code_of(&file).to_lowercase().contains("nats"), "{}", file.display());
    }
}

#[test]
fn no_source_file_is_longer_than_a_reader_can_hold() {
    let long: Vec<_> = ["cluster", "src", "tests"]
        .iter()
        .flat_map(|place| files(place, &["rs"]))
        .map(|file| (read(&file).lines().count(), file))
        .filter(|(lines, _)| *lines > MAX_LINES)
        .collect();
    assert!(long.is_empty(), "over {MAX_LINES} lines: {long:#?}");
}

#[test]
fn no_function_is_longer_than_a_screen() {
    let long: Vec<_> = ["cluster", "src", "tests"]
        .iter()
        .flat_map(|place| files(place, &["rs"]))
        .flat_map(|file| functions(&read(&file)).map(|(name, lines)| (lines, name, file.clone())).collect::<Vec<_>>())
        .filter(|(lines, ..)| *lines > MAX_FUNCTION_LINES)
        .collect();
    assert!(long.is_empty(), "over {MAX_FUNCTION_LINES} lines: {long:#?}");
}

#[test]
fn functions_are_found_with_their_lines() {
    let text = "impl A {\n    pub(super) async fn b<T>(\n        c: T,\n    ) {\n        if d {\n        }\n    }\n}\n\
                trait E {\n    fn f();\n    fn g() {}\n}\nconst fn h() {\n}\n// a fn in a text\n";
    let found: Vec<_> = functions(text).collect();
    assert_eq!(found, [("b".to_owned(), 6), ("h".to_owned(), 2)]);
}

#[test]
fn every_source_file_begins_by_saying_what_it_is() {
    for file in ["cluster", "src"].iter().flat_map(|place| files(place, &["rs"])) {
        assert!(read(&file).starts_with("//! "), "{}", file.display());
    }
}

fn acts(file: &Path) -> bool {
    ACTING.iter().any(|place| file.starts_with(root().join(place)))
}

fn is_test(file: &Path) -> bool {
    file.iter().any(|part| part == "tests")
}

/// The module of a file, of those that stand in `lib.rs`.
fn module_of(file: &Path) -> String {
    let file = file.strip_prefix(root().join("src")).expect("it is in src");
    let first = Path::new(file.iter().next().expect("a file has a name"));
    first.file_stem().expect("a file has a name").to_string_lossy().into_owned()
}

/// The modules of the crate that code names: `crate::app::App` and `crate::{app::{App, Registry}, room}`.
fn modules_used(code: &str) -> Vec<String> {
    let code: String = code.lines().filter(|line| !line.trim_start().starts_with("//")).collect();
    code.split("crate::").skip(1).flat_map(first_names).collect()
}

/// The names with which the paths of a group begin, or the one of a path.
fn first_names(path: &str) -> Vec<String> {
    let name = |text: &str| text.chars().take_while(|c| c.is_alphanumeric() || *c == '_').collect::<String>();
    let Some(group) = path.strip_prefix('{') else { return vec![name(path)] };
    let (mut depth, mut names, mut is_next) = (0, Vec::new(), true);
    for (at, c) in group.char_indices() {
        match c {
            '{' => depth += 1,
            '}' if depth == 0 => break,
            '}' => depth -= 1,
            ',' if depth == 0 => is_next = true,
            c if is_next && !c.is_whitespace() => {
                names.push(name(&group[at..]));
                is_next = false;
            }
            _ => {}
        }
    }
    names
}

/// The functions of a formatted file, but those of one line, each with its lines. A closing brace stands below the first
/// character of its function.
fn functions(text: &str) -> impl Iterator<Item = (String, usize)> {
    let lines: Vec<&str> = text.lines().collect();
    (0..lines.len()).filter_map(move |first| {
        let line = lines[first];
        let (before, after) = line.trim_start().split_once("fn ")?;
        let is_head = before.split_whitespace().all(is_qualifier);
        if !is_head || line.ends_with([';', '}']) {
            return None;
        }
        let end = format!("{}}}", &line[..line.len() - line.trim_start().len()]);
        let rest = lines[first..].iter().position(|line| *line == end)?;
        let name = after.chars().take_while(|c| c.is_alphanumeric() || *c == '_').collect();
        Some((name, rest + 1))
    })
}

/// Whether a word may stand before `fn`.
fn is_qualifier(word: &str) -> bool {
    word.starts_with("pub") || word.ends_with(')') || ["async", "const", "unsafe", "extern", "\"C\""].contains(&word)
}

/// Whether the word stands in the code, and not as the beginning of a longer one.
fn uses(code: &str, word: &str) -> bool {
    let is_longer = |rest: &str| rest.starts_with(|next: char| next == '_' || next.is_alphanumeric());
    code.split(word).skip(1).any(|rest| word.ends_with([':', '_']) || !is_longer(rest))
}

/// The code before the tests, which may use what they like.
fn code_of(file: &Path) -> String {
    let text = read(file);
    text.split("#[cfg(test)]").next().unwrap_or_default().to_owned()
}
