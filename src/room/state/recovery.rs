//! What the channel keeps of its events, and what a subscriber that comes back is sent of them.

use std::iter;

use std::time::Instant;

use bytes::Bytes;

use super::{Clock, Effect, RoomState, Surroundings, Task};
use crate::{
    app::App,
    config::HistoryWindow,
    event::{EncodedEvent, Numbered, Origin},
    protocol::{ChannelName, EventId, Position, Recovery, Since, SocketId},
    room::{
        PageJoin, Subscriber,
        history::{Cause, Completeness, History, HistoryPage, Shared},
    },
};

/// Bytes of events that another node is told at once at most: they must fit into one message between nodes.
const MAX_SHARED_BYTES: usize = 512 << 10;

/// How much a channel keeps of its events. In a cluster cache channels keep none beside the cached event, which travels
/// without a number of its channel.
pub fn keeps(app: &App, channel: &ChannelName, is_clustered: bool) -> Option<HistoryWindow> {
    let window = app.settings().history.window_of(channel)?;
    (!(is_clustered && channel.kind().is_cached())).then_some(window)
}

/// Bytes that the histories of an app may hold on this node.
fn app_limit(app: &App) -> usize {
    app.settings().history_mb.map_or(usize::MAX, |limit| limit << 20)
}

impl RoomState {
    /// Follows the app's rules, which may be others than a moment ago.
    pub(super) fn follow_history_rules(&mut self, around: &Surroundings) {
        let window = keeps(around.app, &self.channel, self.is_clustered);
        let limit = app_limit(around.app);
        match (window, &mut self.history) {
            (None, None) => {}
            (None, Some(_)) => self.history = None,
            (Some(window), Some(history)) => {
                history.set_app_limit(limit);
                if history.window() != window {
                    history.set_window(window, around.now());
                }
            }
            (Some(window), None) => {
                let mut history =
                    History::new(window, self.histories.budget.of_app(&around.app.counters.history_bytes));
                history.set_app_limit(limit);
                history.begin_at(around.now());
                if !self.is_clustered {
                    // What was published while the channel was not open took no number. With one of its own the beginning is
                    // later than every position from before.
                    history.begin(self.histories.numbers.next());
                }
                self.history = Some(Box::new(history));
            }
        }
    }

    /// From now on nothing is missed that the nodes publish after these events.
    pub(super) fn begin_history(&mut self, positions: Vec<EventId>, around: &Surroundings) {
        self.follow_history_rules(around);
        let Some(history) = &mut self.history else { return };
        let own = self.histories.origin();
        positions.iter().filter(|position| position.origin == own).for_each(|position| history.open(*position));
        positions.into_iter().for_each(|position| history.begin(position));
        history.begin_at(around.now());
    }

    /// What a node published up to this event is lost.
    pub(super) fn lose(&mut self, event: EventId) {
        if let Some(history) = &mut self.history {
            history.lose(event);
        }
    }

    /// Gives an event its name, and keeps it, where the channel has a history. Clients' events are not kept.
    pub(super) fn remember(&mut self, event: &mut EncodedEvent, around: &Surroundings, effects: &mut Vec<Effect>) {
        self.follow_history_rules(around);
        let Some(history) = &mut self.history else {
            event.numbered = None;
            return;
        };
        if !self.is_clustered && event.origin == Origin::BackEnd {
            event.numbered = Some(Numbered { id: self.histories.numbers.next(), predecessor: None });
        }
        let Some(numbered) = event.numbered else { return };
        if history.is_behind(numbered) {
            effects.push(Effect::CountGap(numbered.id.origin));
        }
        match event.origin {
            Origin::Client => history.pass_over(numbered),
            Origin::BackEnd => {
                let evicted = history.keep(event.clone(), numbered, around.now());
                if self.fanout.len() == 0 {
                    history.written(iter::once(numbered.id), around.now());
                }
                if evicted > 0 {
                    effects.push(Effect::CountEvicted(evicted));
                }
            }
        }
        self.watch_history(around, effects);
    }

    /// What a new subscriber is told of what it missed, and the frames of that as one buffer; `None` where the channel keeps no
    /// history and nobody asks for it.
    pub(super) fn recover(
        &mut self,
        subscriber: &Subscriber,
        since: Option<&Since>,
        page: Option<PageJoin>,
        around: &Surroundings,
        effects: &mut Vec<Effect>,
    ) -> Option<(Recovery, Bytes)> {
        self.follow_history_rules(around);
        let since = since.map(|since| self.resolved(since));
        let since = since.as_ref();
        if self.history.is_none() && matches!(since, Some(Since::Unknown)) {
            // A page that nobody knows any more has missed nothing that could be kept.
            return None;
        }
        let position = self.history.as_ref().map(|history| self.told_position(history, since, around));
        if let (Some(_), Some(position)) = (page, &position) {
            self.pages.insert(subscriber.id, since.cloned(), position.clone());
        }
        self.leave_out_heard(subscriber.id, since);
        let Some(since) = since else { return position.map(|position| (Recovery::New(position), Bytes::new())) };
        let (missed, completeness) = self.missed(subscriber, since, page.and_then(|page| page.was));
        let replayed = missed.len();
        let frames: Vec<_> = missed.into_iter().filter_map(|event| subscriber.dialect.event(event)).collect();
        effects.push(Effect::CountRecovery(self.explained(completeness, around), replayed));
        let position = position.unwrap_or_default();
        let recovery = match completeness {
            Completeness::Whole => Recovery::Whole { replayed, position },
            Completeness::Partial(_) => Recovery::Partial(position),
        };
        Some((recovery, frames.concat().into()))
    }

    /// A subscriber is not sent what comes later and is not after the position that it had, and is told now.
    fn leave_out_heard(&mut self, socket: SocketId, since: Option<&Since>) {
        let Some(history) = &self.history else { return };
        let mut heard = history.position();
        let hears_again = match since {
            Some(Since::Position(since)) => {
                since.events().for_each(|event| heard.note(event));
                history.may_hear_again(since)
            }
            Some(Since::Moment(_) | Since::Unknown) | None => history.may_come_back(),
        };
        if hears_again {
            self.fanout.set_heard(socket, heard);
        }
    }

    /// Where a moment is what a client has heard the channel up to, the position at it.
    fn resolved(&self, since: &Since) -> Since {
        match (since, &self.history) {
            (Since::Moment(moment), Some(history)) => history.since(*moment),
            (Since::Moment(_), None) => Since::Unknown,
            (Since::Position(_) | Since::Unknown, _) => since.clone(),
        }
    }

    /// How far a subscriber has heard the channel once it is answered. What it has heard that is still to come here is not
    /// forgotten; nor what it has heard of nodes that this room does not know, as long as other nodes may know them: they would replay to it all that those had sent.
    fn told_position(&self, history: &History, since: Option<&Since>, around: &Surroundings) -> Position {
        let mut position = history.position();
        if let Some(Since::Position(since)) = since
            && self.is_clustered
        {
            let is_settled = self.asking.is_settled(around.now());
            let is_kept = |event: &EventId| match position.number_of(event.origin) {
                Some(_) => history.hears(event.origin) || history.assumes(*event),
                None => !is_settled,
            };
            let kept: Vec<EventId> = since.events().filter(is_kept).collect();
            kept.into_iter().for_each(|event| position.note(event));
        }
        position
    }

    /// What is missing might have been in a stream that could not be read.
    fn explained(&self, completeness: Completeness, around: &Surroundings) -> Completeness {
        match completeness {
            Completeness::Partial(cause) if cause.is_elsewhere() && self.asking.stream_is_away(around.now()) => {
                Completeness::Partial(Cause::StreamAway)
            }
            _ => completeness,
        }
    }

    /// The events that a subscriber missed; none where they are not all there, or more than it can be sent at once.
    fn missed(
        &self,
        subscriber: &Subscriber,
        since: &Since,
        was: Option<SocketId>,
    ) -> (Vec<&EncodedEvent>, Completeness) {
        let Since::Position(since) = since else { return (Vec::new(), Completeness::Partial(Cause::Unknown)) };
        let Some(history) = &self.history else { return (Vec::new(), Completeness::Partial(Cause::Window)) };
        let missed = history.after(since);
        if missed.completeness != Completeness::Whole {
            return (Vec::new(), missed.completeness);
        }
        let mut events = missed.events;
        events.retain(|event| event.except.is_none_or(|except| except != subscriber.id && Some(except) != was));
        let bytes: usize = events.iter().map(|event| event.frame.len()).sum();
        // What it is replayed of all its channels together must leave room for what is live.
        if bytes > 0 && bytes + subscriber.outbox.waiting() > self.max_replay_bytes {
            return (Vec::new(), Completeness::Partial(Cause::TooMuch));
        }
        (events, Completeness::Whole)
    }

    /// A page of what is kept, from the oldest event on if no position is given.
    pub fn history(&self, since: Option<&Position>, limit: usize) -> HistoryPage {
        let page = |history: &History| history.page(since.unwrap_or(&Position::default()), limit);
        self.history.as_deref().map_or_else(HistoryPage::default, page)
    }

    /// The newest events that are kept, so many at most, the oldest of them first.
    pub fn newest_events(&self, limit: usize) -> Vec<EncodedEvent> {
        self.history.as_ref().map(|history| history.newest(limit)).unwrap_or_default()
    }

    /// Since when the oldest event that is kept has been.
    pub fn oldest_event(&self) -> Option<Instant> {
        self.history.as_ref().and_then(|history| history.oldest())
    }

    /// What is kept here after a position, for another node; as much as a socket takes at once.
    pub fn share_history(&self, since: &Position, now: Instant) -> Shared {
        let bytes = self.max_replay_bytes.min(MAX_SHARED_BYTES);
        self.history.as_ref().map(|history| history.share(since, bytes, now)).unwrap_or_default()
    }

    /// The last subscriber left: for the time of the window it may come back.
    pub(super) fn await_return(&mut self, around: &Surroundings, effects: &mut Vec<Effect>) {
        self.follow_history_rules(around);
        if let Some(history) = &mut self.history {
            history.await_return(around.now());
            effects.push(Effect::Schedule(Task::AwaitReturn));
            self.watch_history(around, effects);
        }
    }

    /// Too many rooms await subscribers: this one does so no longer, and lives while it keeps events.
    pub(super) fn stop_awaiting(&mut self) {
        if let Some(history) = &mut self.history {
            history.stop_awaiting();
        }
    }

    pub(super) fn wake_history(&mut self, around: &Surroundings, effects: &mut Vec<Effect>) {
        if let Some(history) = &mut self.history {
            history.woke(around.now());
        }
        self.follow_history_rules(around);
        self.watch_history(around, effects);
    }

    pub(super) fn watch_history(&mut self, around: &Surroundings, effects: &mut Vec<Effect>) {
        let pause = self.history.as_mut().and_then(|history| history.watch(around.now()));
        effects.extend(pause.map(|pause| Effect::Schedule(Task::WakeAfter(Clock::History, pause))));
    }
}
