//! Members whose page has lost its socket, and who stay for a moment in which it may come back. Pure.

use std::time::{Duration, Instant};

use crate::protocol::SocketId;

/// The sockets whose users stay, each until a time of its own.
#[derive(Debug, Default)]
pub(super) struct Graces {
    sockets: Vec<(Instant, SocketId)>,
    /// When it will be asked whose time is over.
    watched: Option<Instant>,
}

impl Graces {
    /// A socket is gone, and its user stays until a time.
    pub(super) fn begin(&mut self, socket: SocketId, until: Instant) {
        self.sockets.push((until, socket));
    }

    /// The page is back, or its user goes at once. Returns whether it was waited for.
    pub(super) fn end(&mut self, socket: SocketId) -> bool {
        let before = self.sockets.len();
        self.sockets.retain(|(_, waits)| *waits != socket);
        self.sockets.len() < before
    }

    /// Those who did not come back in time.
    pub(super) fn over(&mut self, now: Instant) -> Vec<SocketId> {
        self.watched = None;
        let over = self.sockets.extract_if(.., |(until, _)| *until <= now);
        over.map(|(_, socket)| socket).collect()
    }

    /// Whether anybody is waited for.
    pub(super) fn is_empty(&self) -> bool {
        self.sockets.is_empty()
    }

    /// After how long the first wait is over, if that is earlier than was said since the last [`Graces::over`].
    pub(super) fn watch(&mut self, now: Instant) -> Option<Duration> {
        let (first, _) = *self.sockets.iter().min()?;
        if self.watched.is_some_and(|watched| watched <= first) {
            return None;
        }
        self.watched = Some(first);
        Some(first.saturating_duration_since(now))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const A: SocketId = SocketId::from_bits(1);
    const B: SocketId = SocketId::from_bits(2);
    const SECOND: Duration = Duration::from_secs(1);

    #[test]
    fn who_does_not_come_back_in_time_goes_and_who_does_stays() {
        let (mut graces, start) = (Graces::default(), Instant::now());
        graces.begin(A, start + SECOND * 10);
        assert_eq!(graces.watch(start), Some(SECOND * 10));
        graces.begin(B, start + SECOND * 12);
        assert_eq!(graces.watch(start), None);
        assert_eq!(graces.over(start + SECOND * 9), []);
        assert!(graces.end(B) && !graces.end(B));
        assert_eq!(graces.watch(start + SECOND * 9), Some(SECOND));
        assert_eq!(graces.over(start + SECOND * 10), [A]);
        assert!(graces.is_empty());
    }

    #[test]
    fn a_shorter_wait_that_begins_later_is_over_first() {
        let (mut graces, start) = (Graces::default(), Instant::now());
        graces.begin(A, start + SECOND * 10);
        graces.watch(start);
        graces.begin(B, start + SECOND * 2);
        assert_eq!(graces.watch(start), Some(SECOND * 2));
        assert_eq!(graces.over(start + SECOND * 2), [B]);
        assert_eq!(graces.watch(start + SECOND * 2), Some(SECOND * 8));
    }
}
