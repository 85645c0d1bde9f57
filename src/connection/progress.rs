//! How far an HTTP/1 connection is, as far as bytes and requests tell: what may be read now, and what is overdue. Pure: the
//! moment is an argument.

use std::time::{Duration, Instant};

/// What one turn may read of heads. The dispatcher makes requests of all that it has read before it answers the first, so
/// that this bounds how many wait in it: some eighty, each with its own allocations.
const HEAD_BYTES: usize = 2_048;

/// What the turns after a full one may read of heads: who sends many requests at once does not keep the others waiting.
const NEXT_HEAD_BYTES: usize = 512;

/// What one turn may read of a body that is wanted.
const BODY_BYTES: usize = 65_536;

/// How long a connection may take over what it does.
#[derive(Debug, Clone, Copy)]
pub struct Patience {
    /// From a head's first byte to its last.
    pub head: Duration,
    /// Until a client that has refused bytes takes some.
    pub answer: Duration,
}

/// What a connection has not done in time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Overdue {
    /// A head is there in part.
    Head,
    /// Nothing of an answer was taken.
    Answer,
}

/// What may be read now.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Allowance {
    /// So many bytes.
    Bytes(usize),
    /// Nothing in this turn, but something in the next.
    NextTurn,
    /// Nothing until something else has come to its end.
    Later,
}

/// Who has the word.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Stage {
    /// The client: a head, or nothing at all.
    Head,
    /// The client: the body of the request under way.
    Body,
    /// The server. What the client sends meanwhile waits in its own TCP window.
    Answer,
    /// Both, in frames of HTTP/2, which has windows of its own.
    Frames,
}

#[derive(Debug)]
pub(super) struct Progress {
    stage: Stage,
    /// What this turn has read.
    turn: usize,
    /// Whether the turn before this one has read all that it might.
    was_full: bool,
    /// The last bytes that were read.
    tail: [u8; 3],
    /// Whether the end of what was read can be told from the end of a head.
    ends_in_body: bool,
    /// Whether any request has come: until then the dispatcher keeps the time.
    is_used: bool,
    head_since: Option<Instant>,
    blocked_since: Option<Instant>,
}

impl Default for Progress {
    fn default() -> Self {
        Self {
            stage: Stage::Head,
            turn: 0,
            was_full: false,
            tail: [0; 3],
            ends_in_body: false,
            is_used: false,
            head_since: None,
            blocked_since: None,
        }
    }
}

impl Progress {
    /// From now on the connection speaks HTTP/2.
    pub(super) fn frames(&mut self) {
        self.stage = Stage::Frames;
    }

    /// What may be read now. A client that does not take its answers is not read: they would only grow.
    pub(super) fn allowance(&mut self) -> Allowance {
        let most = match self.stage {
            _ if self.blocked_since.is_some() => return Allowance::Later,
            Stage::Answer => return Allowance::Later,
            Stage::Head if self.was_full => NEXT_HEAD_BYTES,
            Stage::Head => HEAD_BYTES,
            Stage::Body => BODY_BYTES,
            Stage::Frames => return Allowance::Bytes(BODY_BYTES),
        };
        match most.saturating_sub(self.turn) {
            0 => {
                (self.turn, self.was_full) = (0, true);
                Allowance::NextTurn
            }
            rest => Allowance::Bytes(rest),
        }
    }

    /// There is nothing more to read now.
    pub(super) fn drained(&mut self) {
        (self.turn, self.was_full) = (0, false);
    }

    /// These bytes were read; `now` is asked only where it matters.
    pub(super) fn read(&mut self, bytes: &[u8], now: impl FnOnce() -> Instant) {
        self.turn += bytes.len();
        for byte in &bytes[bytes.len().saturating_sub(self.tail.len())..] {
            self.tail.rotate_left(1);
            self.tail[2] = *byte;
        }
        if self.stage == Stage::Head && self.is_used && self.head_since.is_none() && !bytes.is_empty() {
            self.head_since = Some(now());
        }
    }

    /// A head is complete, and the application has its request.
    pub(super) fn begin(&mut self) {
        self.is_used = true;
        self.head_since = None;
        self.ends_in_body = false;
        self.enter(Stage::Answer);
    }

    /// The application reads the request's body.
    pub(super) fn body_begins(&mut self) {
        self.ends_in_body = true;
        self.enter(Stage::Body);
    }

    /// The application has the body.
    pub(super) fn body_ends(&mut self) {
        self.enter(Stage::Answer);
    }

    /// The application has answered. Where what was read does not end as a head does, the next one has begun.
    pub(super) fn end(&mut self, now: impl FnOnce() -> Instant) {
        self.enter(Stage::Head);
        if !self.ends_in_body && !self.ends_as_a_head() {
            self.head_since = Some(now());
        }
    }

    /// The socket takes no bytes now.
    pub(super) fn refused(&mut self, now: impl FnOnce() -> Instant) {
        if self.blocked_since.is_none() {
            self.blocked_since = Some(now());
        }
    }

    /// The socket took bytes. The kernel says that it has room again only when a good part of what it held has gone, so that
    /// a client cannot stay by taking a byte now and then. Whether it had refused some before.
    pub(super) fn taken(&mut self) -> bool {
        self.blocked_since.take().is_some()
    }

    /// What will be overdue next, and when.
    pub(super) fn deadline(&self, patience: Patience) -> Option<(Instant, Overdue)> {
        let answer = self.blocked_since.map(|since| (since + patience.answer, Overdue::Answer));
        let head = self.head_since.filter(|_| self.stage == Stage::Head);
        answer.or_else(|| head.map(|since| (since + patience.head, Overdue::Head)))
    }

    fn enter(&mut self, stage: Stage) {
        if self.stage != Stage::Frames {
            self.stage = stage;
        }
    }

    /// An empty line; some clients end lines with a bare LF.
    fn ends_as_a_head(&self) -> bool {
        matches!(self.tail, [_, b'\n', b'\n'] | [b'\n', b'\r', b'\n'])
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const PATIENCE: Patience = Patience { head: Duration::from_secs(5), answer: Duration::from_secs(10) };
    const GET: &[u8] = b"GET /up HTTP/1.1\r\nHost: gaung\r\n\r\n";

    /// A connection on which one request was answered, and its clock.
    fn used() -> (Progress, Instant) {
        let (mut progress, now) = (Progress::default(), Instant::now());
        progress.read(GET, || now);
        progress.begin();
        progress.end(|| now);
        progress.drained();
        (progress, now)
    }

    #[test]
    fn a_used_connection_may_be_idle_but_not_stay_within_a_head() {
        let (mut progress, start) = used();
        assert_eq!(progress.deadline(PATIENCE), None);
        let later = start + Duration::from_secs(60);
        progress.read(b"GET /u", || later);
        progress.read(b"p", || later + PATIENCE.head);
        assert_eq!(progress.deadline(PATIENCE), Some((later + PATIENCE.head, Overdue::Head)));
        progress.begin();
        assert_eq!(progress.deadline(PATIENCE), None);
    }

    #[test]
    fn what_came_with_the_request_before_counts_as_a_head_that_has_begun() {
        for (rest, is_begun) in [(&b""[..], false), (b"GET /up HT", true), (b"G", true), (b"GET / HTTP/1.0\n\n", false)]
        {
            let (mut progress, start) = used();
            progress.read(&[GET, rest].concat(), || start);
            progress.begin();
            progress.end(|| start);
            let deadline = is_begun.then_some((start + PATIENCE.head, Overdue::Head));
            assert_eq!(progress.deadline(PATIENCE), deadline, "{}", String::from_utf8_lossy(rest));
        }
    }

    #[test]
    fn after_a_body_only_what_comes_later_begins_a_head() {
        let (mut progress, start) = used();
        progress.begin();
        progress.body_begins();
        progress.read(b"{}", || start);
        progress.body_ends();
        progress.end(|| start);
        assert_eq!(progress.deadline(PATIENCE), None);
    }

    #[test]
    fn heads_come_in_small_turns_and_a_wanted_body_in_large_ones() {
        let (mut progress, now) = used();
        assert_eq!(progress.allowance(), Allowance::Bytes(2_048));
        progress.read(&[b'x'; 2_000], || now);
        assert_eq!(progress.allowance(), Allowance::Bytes(48));
        progress.read(&[b'x'; 48], || now);
        assert_eq!(progress.allowance(), Allowance::NextTurn);
        assert_eq!(progress.allowance(), Allowance::Bytes(512));
        progress.drained();
        assert_eq!(progress.allowance(), Allowance::Bytes(2_048));
        progress.begin();
        progress.body_begins();
        assert_eq!(progress.allowance(), Allowance::Bytes(65_536));
    }

    #[test]
    fn nothing_is_read_while_an_answer_is_made_or_not_taken() {
        let (mut progress, now) = used();
        progress.begin();
        assert_eq!(progress.allowance(), Allowance::Later);
        progress.end(|| now);
        assert!(matches!(progress.allowance(), Allowance::Bytes(_)));
        progress.refused(|| now);
        progress.refused(|| now + PATIENCE.answer);
        assert_eq!(progress.allowance(), Allowance::Later);
        assert_eq!(progress.deadline(PATIENCE), Some((now + PATIENCE.answer, Overdue::Answer)));
        assert!(progress.taken());
        assert!(!progress.taken());
        assert_eq!(progress.deadline(PATIENCE), None);
    }

    #[test]
    fn frames_are_read_unless_the_answers_are_not_taken() {
        let (mut progress, now) = (Progress::default(), Instant::now());
        progress.frames();
        progress.begin();
        progress.read(&[0; 100], || now);
        assert!(matches!(progress.allowance(), Allowance::Bytes(_)));
        assert_eq!(progress.deadline(PATIENCE), None);
        progress.refused(|| now);
        assert_eq!(progress.allowance(), Allowance::Later);
    }
}
