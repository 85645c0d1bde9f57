//! Subscribers that missed something which this room cannot have, and other nodes may: they wait until those have told it,
//! for a moment at most. All that wait share one question.

use std::{
    collections::BTreeMap,
    mem,
    time::{Duration, Instant},
};

use super::{Effect, RoomState, Surroundings, Task, opening::Phase};
use crate::{
    page::Heard,
    protocol::{Position, Since, SocketId},
    room::{
        Join,
        held::Held,
        history::WaitingPlace,
        inquiry::{Answered, Wanted},
        messages::{Forwarded, RoomMessage},
    },
};

/// For how long nobody is asked again for what nobody could tell.
const ASK_AGAIN: Duration = Duration::from_secs(2);

/// Who waits for other nodes.
#[derive(Debug, Default)]
pub(super) struct Asking {
    waiting: BTreeMap<SocketId, Waiting>,
    /// What the other nodes are being asked for.
    question: Option<Wanted>,
    /// What they were asked for last, and when they had answered.
    answered: Option<(Wanted, Instant)>,
    /// Whether all of them had.
    have_all_answered: bool,
    /// Whether the stream behind them could not be read.
    stream_is_away: bool,
}

/// A subscriber that waits.
#[derive(Debug)]
struct Waiting {
    join: Join,
    wanted: Wanted,
    since: Instant,
    /// What it sent behind.
    behind: Vec<RoomMessage>,
    _place: WaitingPlace,
}

/// What came of a question to the other nodes, as it is counted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum QuestionOutcome {
    /// Nothing is missing after the position that was asked for.
    Whole,
    /// Nothing is, with what the stream behind the nodes' memory had.
    Stream,
    /// Something is.
    Part,
    /// Something is, and the stream could not be read.
    StreamAway,
    /// Some node did not answer in time.
    Silent,
    /// Too many channels were asked for.
    Busy,
}

impl QuestionOutcome {
    /// As metrics show it.
    pub fn text(self) -> &'static str {
        match self {
            Self::Whole => "whole",
            Self::Stream => "stream",
            Self::Part => "part",
            Self::StreamAway => "stream_away",
            Self::Silent => "silent",
            Self::Busy => "busy",
        }
    }
}

impl Asking {
    pub(super) fn is_empty(&self) -> bool {
        self.waiting.is_empty()
    }

    /// The subscriptions that wait.
    pub(super) fn joins(&self) -> impl Iterator<Item = &Join> {
        self.waiting.values().map(|waiting| &waiting.join)
    }

    /// Whether the other nodes have just been asked for all of that.
    fn was_answered(&self, wanted: &Wanted, now: Instant) -> bool {
        self.just_answered(now).is_some_and(|asked| asked.covers(wanted))
    }

    /// Whether nobody knows more than this room: all other nodes have just said what they know.
    pub(super) fn is_settled(&self, now: Instant) -> bool {
        self.have_all_answered && self.just_answered(now).is_some()
    }

    /// Whether the stream behind the other nodes' memory could not be read a moment ago.
    pub(super) fn stream_is_away(&self, now: Instant) -> bool {
        self.stream_is_away && self.just_answered(now).is_some()
    }

    /// What the other nodes were asked for last, if they answered a moment ago.
    fn just_answered(&self, now: Instant) -> Option<&Wanted> {
        let (asked, at) = self.answered.as_ref()?;
        (now.saturating_duration_since(*at) < ASK_AGAIN).then_some(asked)
    }

    /// What any of those who wait has missed.
    fn all_wanted(&self) -> Option<Wanted> {
        self.waiting.values().map(|waiting| waiting.wanted.clone()).reduce(Wanted::and)
    }
}

impl RoomState {
    /// What the other nodes are to be asked for: what came after a position, and what subscribers have missed.
    pub fn question(&self) -> Option<(Position, Wanted)> {
        let wanted = self.asking.question.clone()?;
        let history = self.history.as_ref();
        // Of a moment only the stream knows; the nodes that live are asked where they are now.
        let asked = match (&wanted.since, history) {
            (Some(since), Some(history)) => history.known_before(since),
            (Some(since), None) => since.clone(),
            (None, history) => history.map(|history| history.position()).unwrap_or_default(),
        };
        Some((asked, wanted))
    }

    /// Whether a subscription waits for other nodes; returns it if it does not.
    pub(super) fn wait_for_peers(
        &mut self,
        join: Join,
        around: &Surroundings,
        effects: &mut Vec<Effect>,
    ) -> Option<Join> {
        let Some(wanted) = self.lacked(&join, around) else { return Some(join) };
        if self.asking.was_answered(&wanted, around.now()) {
            return Some(join);
        }
        let Some(place) = self.histories.wait() else { return Some(join) };
        let waiting = Waiting { since: around.now(), behind: Vec::new(), _place: place, wanted, join };
        self.asking.waiting.insert(waiting.join.subscriber.id, waiting);
        self.ask(effects);
        None
    }

    /// What a new subscriber missed that this room cannot have, and other nodes may.
    fn lacked(&mut self, join: &Join, around: &Surroundings) -> Option<Wanted> {
        if !self.is_clustered || self.fanout.contains(join.subscriber.id) {
            return None;
        }
        self.follow_history_rules(around);
        let (history, since) = (self.history.as_ref()?, join.since.as_ref()?);
        let is_lacked = match since {
            Since::Position(since) => history.may_be_completed(since),
            Since::Moment(moment) => self.histories.has_stream && history.since(*moment) == Since::Unknown,
            Since::Unknown => false,
        };
        is_lacked.then(|| wanted(since, history.window().time))
    }

    /// Asks the other nodes, unless they are being asked.
    fn ask(&mut self, effects: &mut Vec<Effect>) {
        if self.asking.question.is_none()
            && let Some(wanted) = self.asking.all_wanted()
        {
            self.asking.question = Some(wanted);
            effects.push(Effect::AskPeers);
            effects.push(Effect::Schedule(Task::AskPeers));
        }
    }

    /// What a socket sends whose subscription waits, waits behind it, or ends it; returns what is of others.
    pub(super) fn wait_behind(&mut self, message: RoomMessage, effects: &mut Vec<Effect>) -> Option<RoomMessage> {
        let socket = match &message {
            RoomMessage::Join(join) => join.subscriber.id,
            RoomMessage::Leave(socket) => *socket,
            RoomMessage::Part(parting) => parting.socket,
            RoomMessage::ClientEvent(event, _) => event.sender.id,
            RoomMessage::Publish(..) | RoomMessage::FromPeers(_) | RoomMessage::StopAwaiting => return Some(message),
        };
        let Some(waiting) = self.asking.waiting.get_mut(&socket) else { return Some(message) };
        match message {
            RoomMessage::Join(join) => waiting.join = join,
            RoomMessage::Leave(_) => _ = self.asking.waiting.remove(&socket),
            RoomMessage::Part(parting) => {
                let since = self.asking.waiting.remove(&socket).and_then(|waiting| waiting.join.since);
                let heard = since.map(|since| Heard { proven: since.clone(), written: since });
                effects.push(Effect::Parted(parting.visit, heard));
            }
            message => waiting.behind.push(message),
        }
        None
    }

    /// The other nodes have answered, or the time is over: those who waited for it are answered.
    pub(super) fn hear_history(&mut self, answered: Answered, around: &Surroundings, effects: &mut Vec<Effect>) {
        let Some(asked) = self.asking.question.take() else { return };
        self.asking.have_all_answered = matches!(answered, Answered::All(_) | Answered::WithoutStream(_));
        self.asking.stream_is_away = matches!(answered, Answered::WithoutStream(_));
        let outcome = self.take_history(answered, &asked, around, effects);
        effects.push(Effect::CountQuestion(outcome));
        let now = around.now();
        self.asking.answered = Some((asked, now));
        let mut held = Held::default();
        for (socket, waiting) in mem::take(&mut self.asking.waiting) {
            // Others came later and missed more.
            if !self.asking.was_answered(&waiting.wanted, now) {
                self.asking.waiting.insert(socket, waiting);
                continue;
            }
            effects.push(Effect::CountWaited(now.saturating_duration_since(waiting.since)));
            let messages = [RoomMessage::Join(waiting.join)].into_iter().chain(waiting.behind);
            messages.for_each(|message| held.append(Forwarded { message, underway: None }));
        }
        self.ask(effects);
        self.release(held, effects);
    }

    fn take_history(
        &mut self,
        answered: Answered,
        asked: &Wanted,
        around: &Surroundings,
        effects: &mut Vec<Effect>,
    ) -> QuestionOutcome {
        let (whole, part) = match &answered {
            Answered::All(known) if known.stored.is_some() => (QuestionOutcome::Stream, QuestionOutcome::Part),
            Answered::WithoutStream(_) => (QuestionOutcome::Whole, QuestionOutcome::StreamAway),
            Answered::All(_) | Answered::Silent | Answered::Busy => (QuestionOutcome::Whole, QuestionOutcome::Part),
        };
        let heard = match answered {
            Answered::All(heard) | Answered::WithoutStream(heard) => heard,
            Answered::Silent => return QuestionOutcome::Silent,
            Answered::Busy => return QuestionOutcome::Busy,
        };
        self.follow_history_rules(around);
        let Some(history) = &mut self.history else { return QuestionOutcome::Part };
        let evicted = history.merge(heard, around.now());
        let is_whole = asked.since.as_ref().is_none_or(|since| history.is_whole_after(since))
            && asked.moment.is_none_or(|moment| history.since(moment) != Since::Unknown);
        if evicted > 0 {
            effects.push(Effect::CountEvicted(evicted));
        }
        self.watch_history(around, effects);
        if is_whole { whole } else { part }
    }

    /// What has waited is taken before what waits already, so many messages a turn.
    fn release(&mut self, held: Held, effects: &mut Vec<Effect>) {
        match &mut self.phase {
            Phase::Opening(waiting) => waiting.prepend(held),
            Phase::CatchingUp(waiting, waited) => {
                *waited += held.len();
                waiting.prepend(held);
            }
            Phase::Open => {
                self.phase = Phase::CatchingUp(held, 0);
                effects.push(Effect::Schedule(Task::Replay));
            }
        }
    }
}

/// What somebody has missed who has heard a channel up to there.
fn wanted(since: &Since, window: Duration) -> Wanted {
    let (since, moment) = match since {
        Since::Position(position) => (Some(position.clone()), None),
        Since::Moment(moment) => (None, Some(*moment)),
        Since::Unknown => (None, None),
    };
    Wanted { named: since.clone().unwrap_or_default(), since, moment, window }
}
