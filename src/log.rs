//! Where log lines go. A thread that logs never waits for the log's reader: lines wait in a bounded queue for one thread that
//! writes them, and a line that finds no room, or cannot be written, is counted.

use std::{
    io::{self, ErrorKind, Write},
    mem,
    sync::{
        Arc, Condvar, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
    thread,
    time::{Duration, Instant},
};

use tracing_subscriber::fmt::MakeWriter;

#[cfg(test)]
pub mod heard;

/// How many bytes of lines may wait: some ten thousand lines, which a collector that pauses for a moment catches up with.
const MAX_WAITING_BYTES: usize = 2 * 1_048_576;

/// How long the writer waits before it tries again where the pipe is full and was made non-blocking.
const RETRY: Duration = Duration::from_millis(20);

/// The least time between two lines that say how many were dropped.
const NOTICE_PAUSE: Duration = Duration::from_secs(60);

/// Counted over all logs of the process; a server has one.
static DROPPED: AtomicU64 = AtomicU64::new(0);

/// How many log lines were dropped since the process started.
pub fn dropped_lines() -> u64 {
    DROPPED.load(Ordering::Relaxed)
}

/// A queue of log lines, and the thread that writes them. Cheap to clone; clones share both. Writing to it never fails and
/// never waits.
#[derive(Debug, Clone)]
pub struct Log(Arc<Queue>);

/// Puts one event into the log.
#[derive(Debug)]
pub struct Line<'a>(&'a Log);

#[derive(Debug)]
struct Queue {
    waiting: Mutex<Waiting>,
    changed: Condvar,
    max_bytes: usize,
}

/// Whole lines only, since an event is written with one call.
#[derive(Debug, Default)]
struct Waiting {
    lines: Vec<u8>,
    /// The writer holds lines that are not written yet.
    is_writing: bool,
    dropped: u64,
}

impl Log {
    /// A log on stderr; stdout is for the addresses that the server listens on.
    pub fn on_stderr() -> io::Result<Self> {
        Self::start(io::stderr(), MAX_WAITING_BYTES)
    }

    fn start(to: impl Write + Send + 'static, max_bytes: usize) -> io::Result<Self> {
        let log = Self(Arc::new(Queue { waiting: Mutex::default(), changed: Condvar::new(), max_bytes }));
        let queue = log.0.clone();
        thread::Builder::new().name("log".to_owned()).spawn(move || queue.write_to(to))?;
        Ok(log)
    }

    /// Waits until everything that was logged before is written or dropped, `patience` at most.
    pub fn flush(&self, patience: Duration) {
        let deadline = Instant::now() + patience;
        let mut waiting = self.0.lock();
        while waiting.is_writing || !waiting.lines.is_empty() {
            let left = deadline.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return;
            }
            waiting = self.0.changed.wait_timeout(waiting, left).unwrap_or_else(PoisonError::into_inner).0;
        }
    }
}

impl Queue {
    fn lock(&self) -> MutexGuard<'_, Waiting> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn push(&self, line: &[u8]) {
        let mut waiting = self.lock();
        if waiting.lines.len() + line.len() > self.max_bytes {
            waiting.dropped += 1;
            DROPPED.fetch_add(1, Ordering::Relaxed);
            return;
        }
        waiting.lines.extend_from_slice(line);
        drop(waiting);
        self.changed.notify_all();
    }

    /// The writer's thread, for as long as the process lives: a log that cannot be written today may be tomorrow.
    fn write_to(&self, mut to: impl Write) {
        let (mut lines, mut notices, mut is_writable) = (Vec::new(), Notices::default(), true);
        loop {
            let dropped = self.take(&mut lines);
            // Now there is room for a notice; where nothing can be written it would only be dropped too.
            if is_writable && let Some(lines) = notices.due(dropped, Instant::now()) {
                tracing::warn!(lines, "log lines were dropped: the reader of the log is too slow or failing");
            }
            let written = write(&mut to, &lines);
            let lost = count_lines(&lines[written..]);
            lines.clear();
            self.wrote(lost);
            is_writable = lost == 0;
        }
    }

    /// Takes all lines that wait, and returns how many were dropped in all.
    fn take(&self, lines: &mut Vec<u8>) -> u64 {
        let mut waiting = self.lock();
        while waiting.lines.is_empty() {
            waiting = self.changed.wait(waiting).unwrap_or_else(PoisonError::into_inner);
        }
        mem::swap(&mut waiting.lines, lines);
        waiting.is_writing = true;
        waiting.dropped
    }

    fn wrote(&self, lost: u64) {
        DROPPED.fetch_add(lost, Ordering::Relaxed);
        let mut waiting = self.lock();
        waiting.is_writing = false;
        waiting.dropped += lost;
        self.changed.notify_all();
    }
}

/// Limits the warnings about dropped lines: the first comes at once, later ones at most once a minute.
#[derive(Debug, Default)]
struct Notices {
    reported: u64,
    last: Option<Instant>,
}

impl Notices {
    /// How many lines were dropped since the last notice, if it is time for the next.
    fn due(&mut self, dropped: u64, now: Instant) -> Option<u64> {
        let is_due = self.last.is_none_or(|last| now >= last + NOTICE_PAUSE);
        if dropped == self.reported || !is_due {
            return None;
        }
        self.last = Some(now);
        Some(dropped - mem::replace(&mut self.reported, dropped))
    }
}

/// Returns how much of it was written before the writer refused more.
fn write(to: &mut impl Write, bytes: &[u8]) -> usize {
    let mut written = 0;
    while written < bytes.len() {
        match to.write(&bytes[written..]) {
            Ok(0) => break,
            Ok(count) => written += count,
            Err(error) if error.kind() == ErrorKind::Interrupted => {}
            Err(error) if error.kind() == ErrorKind::WouldBlock => thread::sleep(RETRY),
            Err(_) => break,
        }
    }
    written
}

fn count_lines(bytes: &[u8]) -> u64 {
    bytes.iter().filter(|byte| **byte == b'\n').count() as u64
}

impl<'a> MakeWriter<'a> for Log {
    type Writer = Line<'a>;

    fn make_writer(&'a self) -> Line<'a> {
        Line(self)
    }
}

impl Write for Line<'_> {
    fn write(&mut self, line: &[u8]) -> io::Result<usize> {
        self.0.0.push(line);
        Ok(line.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc::{Receiver, Sender, channel};

    use super::*;

    const LONG: Duration = Duration::from_secs(30);

    /// A reader that takes a piece only when it is told to, and may refuse it. A test that is over refuses everything.
    struct Slow {
        orders: Receiver<Result<usize, ErrorKind>>,
        began: Sender<()>,
        read: Arc<Mutex<Vec<u8>>>,
    }

    impl Write for Slow {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            let _ = self.began.send(());
            let count = self.orders.recv().unwrap_or(Err(ErrorKind::BrokenPipe))?.min(bytes.len());
            self.read.lock().unwrap().extend_from_slice(&bytes[..count]);
            Ok(count)
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    struct Reader {
        log: Log,
        orders: Sender<Result<usize, ErrorKind>>,
        began: Receiver<()>,
        read: Arc<Mutex<Vec<u8>>>,
    }

    impl Reader {
        fn new(max_bytes: usize) -> Self {
            let ((orders, takes), (begins, began)) = (channel(), channel());
            let read = Arc::new(Mutex::default());
            let slow = Slow { orders: takes, began: begins, read: Arc::clone(&read) };
            Self { log: Log::start(slow, max_bytes).unwrap(), orders, began, read }
        }

        fn say(&self, line: &str) {
            self.log.make_writer().write_all(line.as_bytes()).unwrap();
        }

        fn is_being_written(&self) {
            self.began.recv_timeout(LONG).unwrap();
        }

        fn order(&self, order: Result<usize, ErrorKind>) {
            self.orders.send(order).unwrap();
        }

        fn dropped(&self) -> u64 {
            self.log.0.lock().dropped
        }

        fn has_read(&self, text: &str) {
            self.log.flush(LONG);
            assert_eq!(String::from_utf8_lossy(&self.read.lock().unwrap()), text);
        }
    }

    #[test]
    fn lines_are_written_in_their_order_however_small_the_pieces() {
        let reader = Reader::new(100);
        for count in [1, 2, 100, 100, 100] {
            reader.order(Ok(count));
        }
        reader.say("one\n");
        reader.say("two\n");
        reader.has_read("one\ntwo\n");
        assert_eq!(reader.dropped(), 0);
    }

    #[test]
    fn a_log_that_is_not_read_takes_what_it_may_hold_and_counts_the_rest() {
        let reader = Reader::new(10);
        reader.say("first\n");
        reader.is_being_written();
        for line in ["12345\n", "too long\n", "abc\n", "x\n"] {
            reader.say(line);
        }
        assert_eq!(reader.dropped(), 2);
        reader.log.flush(Duration::ZERO);
        reader.order(Ok(100));
        reader.order(Ok(100));
        reader.has_read("first\n12345\nabc\n");
    }

    #[test]
    fn lines_that_cannot_be_written_are_counted_and_the_next_is_tried() {
        let reader = Reader::new(100);
        reader.order(Err(ErrorKind::StorageFull));
        reader.say("one\n");
        reader.log.flush(LONG);
        assert_eq!(reader.dropped(), 1);
        reader.order(Err(ErrorKind::Interrupted));
        reader.order(Err(ErrorKind::WouldBlock));
        reader.order(Ok(100));
        reader.say("two\n");
        reader.has_read("two\n");
        assert_eq!(reader.dropped(), 1);
    }

    #[test]
    fn a_line_of_which_a_part_was_written_is_counted_as_lost() {
        let reader = Reader::new(100);
        reader.order(Ok(2));
        reader.order(Err(ErrorKind::BrokenPipe));
        reader.say("one\n");
        reader.log.flush(LONG);
        assert_eq!(reader.dropped(), 1);
    }

    #[test]
    fn dropped_lines_are_told_at_once_and_then_once_a_minute() {
        let (mut notices, start) = (Notices::default(), Instant::now());
        let mut due = |dropped, seconds| notices.due(dropped, start + Duration::from_secs(seconds));
        assert_eq!([due(0, 0), due(3, 1), due(5, 2), due(5, 60)], [None, Some(3), None, None]);
        assert_eq!([due(5, 61), due(6, 62), due(6, 130)], [Some(2), None, Some(1)]);
    }
}
