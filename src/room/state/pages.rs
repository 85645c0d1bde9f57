//! What a room notes of the pages among its subscribers, and how it lets them go.

use std::time::Instant;

use super::{Clock, Effect, RoomState, Surroundings, Task};
use crate::{
    event::Origin,
    room::{Parting, fanout::Completed},
};

impl RoomState {
    /// Whether pages have been answered since this was last told; see [`RoomState::answered`].
    pub fn has_answered_pages(&self) -> bool {
        self.pages.await_answers()
    }

    /// All answers of the last step are written.
    pub fn answered(&mut self, now: Instant) {
        self.pages.answered(now);
    }

    /// All subscribers were written these events.
    pub fn written(&mut self, events: &[Completed], now: Instant) {
        let is_kept = |completed: &&Completed| completed.event.origin == Origin::BackEnd;
        if let Some(history) = &mut self.history {
            history.written(events.iter().filter(is_kept).filter_map(|completed| completed.event.id()), now);
        }
    }

    /// The session of a page is over: it is told how far the page has heard the channel, and its user stays for a moment.
    pub(super) fn part(&mut self, parting: Parting, around: &Surroundings, effects: &mut Vec<Effect>) {
        let Parting { socket, visit, proven, grace } = parting;
        let heard = self.history.as_ref().and_then(|history| {
            self.pages.part(socket, proven, history, |event| self.fanout.has_written(socket, event))
        });
        self.let_go(socket, grace, around, effects);
        effects.push(Effect::Parted(visit, heard));
        self.watch_graces(around, effects);
    }

    pub(super) fn end_graces(&mut self, around: &Surroundings, effects: &mut Vec<Effect>) {
        for socket in self.graces.over(around.now()) {
            self.remove_member(socket, around, effects);
        }
        self.watch_graces(around, effects);
    }

    fn watch_graces(&mut self, around: &Surroundings, effects: &mut Vec<Effect>) {
        let pause = self.graces.watch(around.now());
        effects.extend(pause.map(|pause| Effect::Schedule(Task::WakeAfter(Clock::Grace, pause))));
    }
}
