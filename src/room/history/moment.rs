//! How far a client has heard a channel of which only a moment is known up to which it has heard everything. Pure.

use std::time::Instant;

use super::{Cause, History};
use crate::protocol::{EventId, Since};

impl History {
    /// Nothing is missed from this moment on.
    pub(in crate::room) fn begin_at(&mut self, now: Instant) {
        self.whole_since = self.whole_since.max(Some(now));
    }

    /// Since when the oldest event has been kept.
    pub(in crate::room) fn oldest(&self) -> Option<Instant> {
        self.events.front().map(|kept| kept.at)
    }

    /// How far a subscriber has heard that heard everything from before a moment; unknown if not all from after it is kept.
    /// What was lost on the way may have been of any time.
    pub(in crate::room) fn since(&self, moment: Instant) -> Since {
        let is_kept = self.whole_since.is_some_and(|whole_since| whole_since < moment);
        if !is_kept || self.origins.values().any(|state| state.cause == Cause::NodeLost) {
            return Since::Unknown;
        }
        let later = |origin| self.events.iter().find(|kept| kept.id.origin == origin && kept.at >= moment);
        let number = |origin, last| later(origin).map_or(last, |kept| kept.id.number.saturating_sub(1));
        let events = self.origins.iter().map(|(origin, state)| (*origin, number(*origin, state.last)));
        Since::Position(events.map(|(origin, number)| EventId { origin, number }).collect())
    }
}
