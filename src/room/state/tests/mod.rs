//! Rooms without an actor system: what each input asks to be done, in order.

mod asking;
mod clocks;
mod events;
mod opening;
mod recovery;
mod recovery_in_cluster;
mod stories;
mod subscriptions;
mod users;

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use super::*;
use crate::{
    app::App,
    config::AppSettings,
    event::{EncodedEvent, Event, Moment, UserAction, Words},
    outbox::Outbox,
    protocol::{ChannelPattern, Close, presence::MemberClaim},
    room::{
        ClientEvent, Dialect, Join, JoinAs, Subscriber,
        backlog::{Backlog, Limits},
        history::Histories,
        inflow::Inflow,
        messages::{Forwarded, Opening},
    },
};

/// A room, and the time.
struct Stage {
    state: RoomState,
    app: Arc<App>,
    start: Moment,
    /// Milliseconds since the start.
    at: u64,
    is_leaving: bool,
    backlog: Arc<Backlog>,
    inflow: Arc<Inflow>,
    outboxes: Vec<(u64, Arc<Outbox>)>,
}

fn channel(name: &str) -> ChannelName {
    ChannelName::parse(name, 200).unwrap()
}

fn stage(name: &str, reach: Reach) -> Stage {
    stage_of(name, reach, AppSettings::new("key", "secret"))
}

fn stage_of(name: &str, reach: Reach, settings: AppSettings) -> Stage {
    Stage {
        state: RoomState::new(channel(name), reach, 1 << 20, Histories::new(7, 1 << 20)),
        app: App::new("app", settings),
        start: (Instant::now(), Duration::from_secs(1_000)),
        at: 0,
        is_leaving: false,
        backlog: Backlog::new(Limits { events: 1_000, bytes: 1 << 20 }),
        inflow: Inflow::new(1_000, None),
        outboxes: Vec::new(),
    }
}

/// A room of a node in a cluster where nobody else is, which has opened.
fn opened(name: &str) -> Stage {
    let mut stage = stage(name, Reach::Cluster);
    stage.hear(nobody());
    stage.replayed();
    stage
}

fn nobody() -> FromPeers {
    FromPeers::Opened(Opening { subscriptions: 0, members: Vec::new(), cached: None, positions: Vec::new() })
}

impl Stage {
    fn moment(&self) -> Moment {
        let passed = Duration::from_millis(self.at);
        (self.start.0 + passed, self.start.1 + passed)
    }

    /// Takes a step; returns what is to be done.
    fn effects(&mut self, input: RoomInput) -> Vec<Effect> {
        let around = Surroundings::at(&self.app, self.is_leaving, self.moment());
        let mut effects = Vec::new();
        self.state.step(input, &around, &mut effects);
        effects
    }

    fn step(&mut self, input: RoomInput) -> Vec<String> {
        self.effects(input).iter().map(word).collect()
    }

    fn forwarded(&self, message: RoomMessage) -> RoomInput {
        RoomInput::Message(Forwarded { message, underway: None })
    }

    fn tell(&mut self, message: RoomMessage) -> Vec<String> {
        self.step(self.forwarded(message))
    }

    fn hear(&mut self, from_peers: FromPeers) -> Vec<String> {
        self.tell(RoomMessage::FromPeers(from_peers))
    }

    fn subscriber(&mut self, id: u64) -> Subscriber {
        let known = self.outboxes.iter().find(|(known, _)| *known == id).map(|(_, outbox)| outbox.clone());
        let outbox = known.unwrap_or_else(|| Outbox::new(usize::MAX));
        self.outboxes.push((id, outbox.clone()));
        Subscriber { id: SocketId::from_bits(id), outbox, dialect: Dialect::Pusher }
    }

    fn join(&mut self, id: u64) -> Vec<String> {
        let subscriber = self.subscriber(id);
        self.tell(RoomMessage::Join(Join { subscriber, claim: None, since: None, page: None, attempt: 1 }))
    }

    fn join_as(&mut self, id: u64, user: &str) -> Vec<String> {
        let subscriber = self.subscriber(id);
        let claim = Some(JoinAs::Member(MemberClaim { id: user.to_owned(), info: "{}".to_owned() }));
        self.tell(RoomMessage::Join(Join { subscriber, claim, since: None, page: None, attempt: 1 }))
    }

    fn leave(&mut self, id: u64) -> Vec<String> {
        self.tell(RoomMessage::Leave(SocketId::from_bits(id)))
    }

    fn event(&self, name: &str) -> EncodedEvent {
        Event::from_back_end(self.state.channel().clone(), Words::new(name, "{}"), None, self.moment()).encode()
    }

    fn permit(&self) -> Permit {
        self.backlog.reserve(&Arc::default(), 1, 1).unwrap()
    }

    fn publish(&mut self, name: &str) -> Vec<String> {
        self.tell(RoomMessage::Publish(self.event(name), self.permit(), None))
    }

    fn publish_client_event(&mut self, id: u64) -> RoomInput {
        let client_event =
            ClientEvent { sender: self.subscriber(id), name: "client-e".to_owned(), data: "{}".to_owned() };
        self.forwarded(RoomMessage::ClientEvent(client_event, self.permit()))
    }

    /// What was replayed, message by message.
    fn replayed(&mut self) -> Vec<Vec<String>> {
        let mut replayed = Vec::new();
        while self.state.is_catching_up() {
            replayed.push(self.step(RoomInput::Replay));
        }
        replayed
    }

    /// The turn that announces members, and what each socket is written for it.
    fn announced(&mut self) -> Vec<String> {
        self.step(RoomInput::Announce);
        self.served()
    }

    /// What each socket is written in the next serving turns.
    fn served(&mut self) -> Vec<String> {
        self.step(RoomInput::AnnounceDue);
        let mut served = Vec::new();
        loop {
            let (writes, rest) = self.state.hand_over();
            for write in &writes {
                let is_socket = |(_, outbox): &&(u64, Arc<Outbox>)| Arc::ptr_eq(outbox, &write.outbox);
                let id = self.outboxes.iter().find(is_socket).map(|(id, _)| *id);
                served.push(format!("{} hears {}", id.unwrap(), names(&write.frames)));
            }
            if !rest.more {
                break;
            }
        }
        self.step(RoomInput::Served(Serving::Ends));
        served
    }
}

/// The names of the messages in frames.
fn names(frames: &[u8]) -> String {
    let text = String::from_utf8_lossy(frames).into_owned();
    let name = |part: &str| part.split('"').next().unwrap_or_default().to_owned();
    let names: Vec<_> = text.split(r#""event":""#).skip(1).map(name).collect();
    names.join(" ").replace("pusher_internal:", "").replace("pusher:", "")
}

fn word(effect: &Effect) -> String {
    match effect {
        Effect::Answer(_, frames) => format!("answer {}", names(&frames.concat())),
        Effect::RefuseJoin { refusal, is_subscribed, .. } => format!("refuse {refusal:?}, subscribed {is_subscribed}"),
        Effect::RefuseClientEvent(sender) => format!("refuse event of {}", sender.id.bits()),
        Effect::Close(subscriber, Close::Terminated) => format!("close {}", subscriber.id.bits()),
        Effect::Close(subscriber, close) => format!("close {} as {}", subscriber.id.bits(), close.name()),
        Effect::Revoke(subscriber, patterns) => {
            let patterns: Vec<_> = patterns.iter().map(ToString::to_string).collect();
            format!("revoke {} of {}", patterns.join(" "), subscriber.id.bits())
        }
        Effect::Webhook(detail) => format!("webhook {:?}", detail.kind()),
        Effect::Subscribed(socket) => format!("{} subscribed", socket.bits()),
        Effect::Unsubscribed(socket) => format!("{} unsubscribed", socket.bits()),
        Effect::Unheard(event) => format!("unheard {}", names(&event.frame)),
        Effect::Delivered(_, sockets) => format!("delivered to {sockets}"),
        Effect::CountClientEvent => "count client event".to_owned(),
        Effect::SendClientEvent(_) => "send client event".to_owned(),
        Effect::BeginWatch(subscriber, _) => format!("{} watches", subscriber.id.bits()),
        Effect::EndWatch(socket) => format!("{} watches no more", socket.bits()),
        Effect::ShareUser(sockets) => format!("share user with {sockets}"),
        Effect::ShareCount(count) => format!("share count {count}"),
        Effect::ShareMember(member) => format!("share member {} with {}", member.user, member.sockets),
        Effect::ShareCached(record, ..) => format!("share cached {}", record.at),
        Effect::CountRecovery(completeness, events) => format!("count {} with {events}", completeness.outcome()),
        Effect::CountQuestion(outcome) => format!("count question {}", outcome.text()),
        Effect::CountWaited(time) => format!("count {} ms", time.as_millis()),
        Effect::CountGap(origin) => format!("count gap of {origin}"),
        Effect::AskPeers => "ask peers".to_owned(),
        Effect::CountEvicted(events) => format!("count {events} evicted"),
        Effect::Shelve { at, .. } => format!("shelve {at}"),
        Effect::Parted(_, Some(heard)) => format!("parted {heard:?}"),
        Effect::Parted(_, None) => "parted".to_owned(),
        Effect::Handled(_) => "handled".to_owned(),
        Effect::AskPositions => "ask positions".to_owned(),
        Effect::Opened => "opened".to_owned(),
        Effect::Schedule(Task::WakeAfter(clock, pause)) => format!("wake {clock:?} after {} ms", pause.as_millis()),
        Effect::Schedule(Task::ReplayLater) => "replay later".to_owned(),
        Effect::Schedule(task) => format!("{task:?}").to_lowercase(),
    }
}
