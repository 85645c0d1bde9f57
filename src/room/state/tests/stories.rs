//! Random stories: whatever sockets, back ends and other nodes do, and in whatever order turns and clocks come, each client
//! hears the events from its subscription on, once and in order, and knows in the end who is there.

use std::collections::{BTreeSet, VecDeque};

use gaung_cluster::fact::Member;
use serde_json::Value;

use super::*;

const SEEDS: u64 = 200;
const SOCKETS: u64 = 6;

/// What a client has heard.
#[derive(Default)]
struct Client {
    is_joined: bool,
    /// The first event that it is to hear after each of its joins that was not answered yet.
    firsts: VecDeque<u64>,
    next: u64,
    members: BTreeSet<String>,
}

/// A turn that the room has asked for.
#[derive(Clone, Copy)]
enum Turn {
    Announce,
    Serve,
    Replay,
}

struct Story {
    room: Stage,
    seed: u64,
    random: u64,
    clients: Vec<Client>,
    published: u64,
    is_open: bool,
    remote: BTreeSet<String>,
    turns: Vec<Turn>,
    clocks: Vec<(u64, Clock)>,
}

impl Story {
    fn new(reach: Reach, seed: u64) -> Self {
        Self {
            room: stage("presence-a", reach),
            seed,
            random: seed.wrapping_mul(0x9E37_79B9_7F4A_7C15) | 1,
            clients: (0..SOCKETS).map(|_| Client::default()).collect(),
            published: 0,
            is_open: reach == Reach::Alone,
            remote: BTreeSet::new(),
            turns: Vec::new(),
            clocks: Vec::new(),
        }
    }

    fn random(&mut self, below: u64) -> u64 {
        self.random ^= self.random << 13;
        self.random ^= self.random >> 7;
        self.random ^= self.random << 17;
        (self.random >> 16) % below
    }

    fn happen(&mut self) {
        match self.random(10) {
            0..=2 => self.join_or_leave(),
            3 | 4 => self.publish(),
            5 => self.change_remote(),
            6 | 7 => self.take_turn(),
            8 => self.pass(),
            _ => self.open(),
        }
    }

    fn join_or_leave(&mut self) {
        let id = self.random(SOCKETS);
        let first = self.published + 1;
        let client = &mut self.clients[id as usize];
        client.is_joined = !client.is_joined;
        let message = if client.is_joined {
            client.firsts.push_back(first);
            let claim = Some(JoinAs::Member(MemberClaim { id: user_of(id), info: "{}".to_owned() }));
            RoomMessage::Join(Join { subscriber: self.room.subscriber(id), claim, since: None, page: None, attempt: 1 })
        } else {
            RoomMessage::Leave(SocketId::from_bits(id))
        };
        self.tell(message);
    }

    fn publish(&mut self) {
        self.published += 1;
        let event = self.room.event(&self.published.to_string());
        self.tell(RoomMessage::Publish(event, self.room.permit(), None));
    }

    /// A user, who may be here too, comes to another node or goes from there.
    fn change_remote(&mut self) {
        let user = format!("user-{}", self.random(5));
        let is_there = !self.remote.remove(&user) && self.remote.insert(user.clone());
        if self.is_open && self.room.state.is_clustered {
            let member = is_there.then(|| member(&user));
            self.tell(RoomMessage::FromPeers(FromPeers::Member(user.as_str().into(), member)));
        }
    }

    fn open(&mut self) {
        if !mem::replace(&mut self.is_open, true) {
            let members = self.remote.iter().map(|user| member(user)).collect();
            let opening = Opening { subscriptions: self.remote.len(), members, cached: None, positions: Vec::new() };
            self.tell(RoomMessage::FromPeers(FromPeers::Opened(opening)));
        }
    }

    fn pass(&mut self) {
        self.room.at += self.random(80);
        let now = self.room.at;
        while let Some(due) = self.clocks.iter().position(|(at, _)| *at <= now) {
            let (_, clock) = self.clocks.swap_remove(due);
            self.step(RoomInput::Woke(clock));
        }
    }

    fn take_turn(&mut self) {
        if self.turns.is_empty() {
            return;
        }
        let turn = self.random(self.turns.len() as u64);
        match self.turns.swap_remove(turn as usize) {
            Turn::Announce => self.step(RoomInput::Announce),
            Turn::Serve => self.serve(),
            Turn::Replay => {
                for _ in 0..self.random(4) {
                    self.step(RoomInput::Replay);
                }
                self.step(RoomInput::EndReplay);
            }
        }
    }

    fn serve(&mut self) {
        self.step(RoomInput::AnnounceDue);
        let (writes, _) = self.room.state.hand_over();
        for write in writes {
            self.write(&write.outbox, &write.frames);
        }
        let goes_on = self.random(2) == 0;
        if goes_on {
            self.turns.push(Turn::Serve);
        }
        self.step(RoomInput::Served(if goes_on { Serving::GoesOn } else { Serving::Ends }));
    }

    fn tell(&mut self, message: RoomMessage) {
        self.step(self.room.forwarded(message));
    }

    fn step(&mut self, input: RoomInput) {
        for effect in self.room.effects(input) {
            match effect {
                Effect::Answer(outbox, frames) => self.write(&outbox, &frames.concat()),
                Effect::Schedule(Task::Announce) => self.turns.push(Turn::Announce),
                Effect::Schedule(Task::Serve) => self.turns.push(Turn::Serve),
                Effect::Schedule(Task::Replay | Task::ReplayLater) => self.turns.push(Turn::Replay),
                Effect::Schedule(Task::WakeAfter(clock, pause)) => {
                    assert!(self.clocks.iter().all(|(_, known)| *known != clock), "{clock:?} in seed {}", self.seed);
                    self.clocks.push((self.room.at + pause.as_millis() as u64, clock));
                }
                _ => {}
            }
        }
    }

    fn write(&mut self, outbox: &Arc<Outbox>, frames: &[u8]) {
        let id = self.room.outboxes.iter().find(|(_, known)| Arc::ptr_eq(known, outbox)).map(|(id, _)| *id);
        let (client, seed) = (&mut self.clients[id.unwrap() as usize], self.seed);
        messages(frames).iter().for_each(|message| client.hear(message, seed));
    }

    /// Everybody has the time to do what is left to do.
    fn settle(&mut self) {
        self.open();
        for _ in 0..400 {
            self.take_turn();
            self.pass();
        }
        // Turns go on by chance; what matters is that nothing waits.
        assert!(self.clocks.is_empty() && !self.room.state.is_catching_up(), "seed {}", self.seed);
    }

    fn check(&mut self) {
        self.settle();
        self.publish();
        self.settle();
        let joined = (0..SOCKETS).filter(|id| self.clients[*id as usize].is_joined);
        let remote = if self.room.state.is_clustered { self.remote.clone() } else { BTreeSet::new() };
        let members: BTreeSet<_> = joined.clone().map(user_of).chain(remote).collect();
        for id in joined {
            let client = &self.clients[id as usize];
            assert_eq!(client.next, self.published + 1, "events of socket {id} in seed {}", self.seed);
            assert_eq!(client.members, members, "members of socket {id} in seed {}", self.seed);
        }
        let leaving: Vec<_> = (0..SOCKETS).filter(|id| self.clients[*id as usize].is_joined).collect();
        leaving.into_iter().for_each(|id| self.tell(RoomMessage::Leave(SocketId::from_bits(id))));
        self.settle();
        assert!(self.room.state.is_idle(), "seed {}", self.seed);
        assert_eq!(self.room.backlog.waiting(), 0, "seed {}", self.seed);
    }
}

impl Client {
    fn hear(&mut self, message: &Value, seed: u64) {
        let data = || serde_json::from_str::<Value>(message["data"].as_str().unwrap()).unwrap();
        let user = || data()["user_id"].as_str().unwrap().to_owned();
        match message["event"].as_str().unwrap() {
            "pusher_internal:subscription_succeeded" => {
                self.next = self.firsts.pop_front().unwrap();
                let ids = data()["presence"]["ids"].as_array().unwrap().clone();
                self.members = ids.iter().map(|id| id.as_str().unwrap().to_owned()).collect();
            }
            "pusher_internal:member_added" => assert!(self.members.insert(user()), "{message} in seed {seed}"),
            "pusher_internal:member_removed" => assert!(self.members.remove(&user()), "{message} in seed {seed}"),
            event => {
                assert_eq!(event, self.next.to_string(), "seed {seed}");
                self.next += 1;
            }
        }
    }
}

/// Two sockets are of one user.
fn user_of(socket: u64) -> String {
    format!("user-{}", socket % 3)
}

fn member(user: &str) -> Member {
    Member { user: user.into(), info: "{}".into(), since: 1, sockets: 1 }
}

/// The messages in WebSocket frames.
fn messages(mut frames: &[u8]) -> Vec<Value> {
    let mut messages = Vec::new();
    while !frames.is_empty() {
        let (header, length) = match frames[1] {
            126 => (4, usize::from(u16::from_be_bytes([frames[2], frames[3]]))),
            length => (2, usize::from(length)),
        };
        messages.push(serde_json::from_slice(&frames[header..header + length]).unwrap());
        frames = &frames[header + length..];
    }
    messages
}

#[test]
fn every_client_knows_in_the_end_who_is_there_and_has_heard_every_event_once() {
    for (seed, reach) in (0..SEEDS).flat_map(|seed| [(seed, Reach::Alone), (seed, Reach::Cluster)]) {
        let mut story = Story::new(reach, seed);
        for _ in 0..story.random(150) {
            story.happen();
        }
        story.check();
    }
}
