//! What ends the process at once. A part that is gone leaves a node that answers probes and does half of its work; a node
//! that is gone is noticed: its peers hold its members, its clients come back to others, its supervisor starts it again.

use std::{
    collections::BTreeMap,
    fs,
    panic::{self, PanicHookInfo},
    process,
    sync::mpsc::{RecvTimeoutError, Sender, channel},
    thread,
    time::Duration,
};

use crate::log::Log;

/// The exit code: EX_SOFTWARE of sysexits(3), an internal fault. Not an abort: a supervisor tells it from a signal of
/// somebody else's, and no memory with secrets is dumped to a disk.
pub const EXIT_CODE: i32 = 70;

/// How long the last log line may take to be written: a log that nobody reads keeps no broken node alive.
const LAST_LINE: Duration = Duration::from_secs(1);

/// How often the threads are counted.
const LOOK_EVERY: Duration = Duration::from_secs(1);

/// Makes every panic of the process, in whatever thread, task or actor, its end, with a log line that says where.
/// Nothing that panicked can be trusted to have kept its invariants.
pub fn end_with_panics(log: Log) {
    panic::set_hook(Box::new(move |panicked| {
        let place = panicked.location().map(ToString::to_string);
        let (thread, text) = (thread::current(), text_of(panicked));
        tracing::error!(
            thread = thread.name().unwrap_or("unnamed"),
            place,
            panic = text,
            "a thread panicked, which is a bug; exiting"
        );
        exit(&log);
    }));
}

/// Says why, and ends the process.
pub fn end(log: &Log, reason: &str) -> ! {
    tracing::error!(reason, "a part of the server has stopped; exiting");
    exit(log)
}

fn exit(log: &Log) -> ! {
    log.flush(LAST_LINE);
    process::exit(EXIT_CODE)
}

fn text_of<'a>(panicked: &'a PanicHookInfo<'_>) -> &'a str {
    panicked.payload_as_str().unwrap_or("no text")
}

/// Looks once a second whether all threads are still there; dropped when the threads may end. It has a thread of its own,
/// because any other may be the one that is gone.
#[derive(Debug)]
pub struct ThreadWatch {
    /// The watch ends with it.
    _wanted: Sender<()>,
}

impl ThreadWatch {
    /// Watches all threads but those that come and go. Off Linux there is nothing to see.
    pub fn start(log: Log) -> Option<Self> {
        observe()?;
        let (wanted, ended) = channel::<()>();
        let watch = move || {
            let mut seen = Seen::default();
            while ended.recv_timeout(LOOK_EVERY) == Err(RecvTimeoutError::Timeout) {
                if let Some(name) = observe().and_then(|now| seen.missing(now)) {
                    end(&log, &format!("thread {name} has ended"));
                }
            }
        };
        thread::Builder::new().name("thread-watch".to_owned()).spawn(watch).ok()?;
        Some(Self { _wanted: wanted })
    }
}

/// Names by their ids, as the system knows them: the first 15 bytes.
type Threads = BTreeMap<u32, String>;

/// `None` where there is no `/proc`, or where it cannot be read for want of a descriptor.
fn observe() -> Option<Threads> {
    let mut threads = Threads::new();
    for task in fs::read_dir("/proc/self/task").ok()? {
        let task = task.ok()?;
        let id = task.file_name().to_str()?.parse().ok()?;
        let name = fs::read_to_string(task.path().join("comm")).unwrap_or_default();
        threads.insert(id, name.trim_end().to_owned());
    }
    Some(threads)
}

/// What the looks have seen so far.
#[derive(Debug, Default)]
struct Seen {
    last: Threads,
    /// Seen at two looks at least: one that has only begun may still have the name of the thread that started it.
    steady: Threads,
}

impl Seen {
    /// One of the threads that is not there any more. The runtime's own threads for blocking work end when there is none.
    fn missing(&mut self, now: Threads) -> Option<String> {
        let stays = |name: &str| !name.is_empty() && !name.starts_with("tokio-r");
        let missing = self.steady.iter().find(|(id, name)| stays(name) && !now.contains_key(id));
        let missing = missing.map(|(_, name)| name.clone());
        self.steady = now.clone();
        self.steady.retain(|id, name| self.last.get(id) == Some(name));
        self.last = now;
        missing
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn threads_of(names: &[(u32, &str)]) -> Threads {
        names.iter().map(|(id, name)| (*id, (*name).to_owned())).collect()
    }

    #[test]
    fn a_thread_that_has_ended_is_missed_and_one_of_the_runtime_is_not() {
        let all = [(1, "gaung"), (2, "actix-rt|system"), (3, "tokio-rt-worker"), (4, "bus")];
        let check = |gone: u32, expected: Option<&str>| {
            let mut seen = Seen::default();
            for _ in 0..3 {
                assert_eq!(seen.missing(threads_of(&all)), None);
            }
            let left: Vec<_> = all.into_iter().filter(|(id, _)| *id != gone).collect();
            assert_eq!(seen.missing(threads_of(&left)).as_deref(), expected, "{gone}");
        };
        check(0, None);
        check(2, Some("actix-rt|system"));
        check(3, None);
        check(4, Some("bus"));
    }

    #[test]
    fn a_thread_that_begins_later_is_watched_from_its_second_look_under_one_name() {
        let looks: [&[(u32, &str)]; 6] = [
            &[(1, "gaung")],
            &[(1, "gaung"), (2, "gaung")],
            &[(1, "gaung")],
            &[(1, "gaung"), (3, "bus")],
            &[(1, "gaung"), (3, "bus")],
            &[(1, "gaung")],
        ];
        let mut seen = Seen::default();
        let missing = looks.map(|threads| seen.missing(threads_of(threads)));
        assert_eq!(missing, [None, None, None, None, None, Some("bus".to_owned())]);
    }

    #[cfg(target_os = "linux")]
    #[test]
    fn the_system_tells_the_threads_of_this_process() {
        let (go, ended) = channel::<()>();
        let (runs, running) = channel::<()>();
        let work = move || runs.send(()).map(|()| ended.recv().is_err());
        let thread = thread::Builder::new().name("seen-here".to_owned()).spawn(work).unwrap();
        running.recv().unwrap();
        let before = observe().unwrap();
        assert!(before.values().any(|name| name == "seen-here"), "{before:?}");
        drop(go);
        assert_eq!(thread.join().unwrap(), Ok(true));
    }
}
