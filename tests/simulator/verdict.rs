//! The judgement at the end of a run: all nodes and all clients agree with what is so.

use std::collections::{BTreeMap, BTreeSet};

use gaung::{
    event::wire::{self, Message},
    protocol::{ChannelName, frame::text_of},
};
use gaung_cluster::{NodeId, fact::CachedEvent, page::PageWhere};
use gaung_simulator::Process;
use serde_json::Value;

use crate::{
    client::{Client, Stage},
    world::{CACHE_CHANNELS, World, channel, room},
};

/// Who is subscribed to a channel.
#[derive(Default)]
struct Audience {
    sockets: u64,
    users: BTreeSet<String>,
}

impl World {
    pub fn judge(&mut self) {
        let audiences = self.audiences();
        let mut faults = self.promises.broken();
        for client in &self.clients {
            faults.extend(client.wanted().flat_map(|name| misbeliefs(client, name, &audiences[name])));
        }
        for node in self.net.processes() {
            faults.extend((!node.is_quiet()).then(|| format!("something still waits on {}", node.id())));
            for (name, audience) in &audiences {
                let (seen, sockets) = (node.core.subscriptions(&room(name)), audience.sockets);
                faults.extend((seen != sockets).then(|| format!("{} sees {seen} of {sockets} in {name:?}", node.id)));
            }
            let unused =
                node.rooms.keys().filter(|name| node.room(name).is_some_and(|room| room.counts().subscriptions == 0));
            faults.extend(unused.map(|name| format!("{name:?} is still served on {}", node.id)));
        }
        let is_old = |number: &u64| {
            !self.clients.iter().any(|client| client.page.as_ref().is_some_and(|page| page.visit == *number))
        };
        let old = self.sessions.iter().filter(|(number, _)| is_old(number));
        faults.extend(
            old.map(|(number, session)| format!("socket {number} of a page is still open on {}", session.node)),
        );
        faults.extend(self.pages_astray());
        faults.extend(self.missed_quietly());
        self.faults.extend(faults);
    }

    /// What nodes say of where pages are that is not so.
    fn pages_astray(&self) -> Vec<String> {
        let mut faults = Vec::new();
        let pages = self.clients.iter().filter_map(|client| Some((client.page.as_ref()?.key, client.socket.as_ref()?)));
        for (key, socket) in pages {
            for node in self.net.processes() {
                let place = node.core.page(key.0);
                // A claim of a node that is gone may be newer, where its search for the page ended after that of another.
                let is_right = match place {
                    PageWhere::On(home, _) => home == socket.speaker.node,
                    PageWhere::Lost(_) => true,
                    PageWhere::Unknown => false,
                };
                faults.extend((!is_right).then(|| format!("{} sees {key:?} {place:?}", node.id)));
            }
        }
        faults
    }

    pub fn judge_caches(&mut self) {
        for name in CACHE_CHANNELS {
            let faults = self.cache_faults(&channel(name));
            self.faults.extend(faults);
        }
    }

    fn audiences(&self) -> BTreeMap<ChannelName, Audience> {
        let mut audiences = BTreeMap::<ChannelName, Audience>::new();
        for client in &self.clients {
            for name in client.wanted() {
                let audience = audiences.entry(name.clone()).or_default();
                audience.sockets += 1;
                audience.users.insert(client.user.clone());
            }
        }
        audiences
    }

    /// Those who have just come to a cache channel were all shown its newest event.
    fn cache_faults(&mut self, name: &ChannelName) -> Vec<String> {
        let (mut faults, room) = (Vec::new(), room(name));
        let living: BTreeSet<NodeId> = self.net.processes().map(|node| node.id).collect();
        let newest = self.cached.iter().filter(|(known, _, node)| *known == room && living.contains(node));
        let newest = newest.map(|(_, at, _)| *at).max().unwrap_or_default();
        let wall = self.net.wall();
        for client in self.clients.iter().filter(|client| client.returns_at == u64::MAX && client.is_in(name)) {
            let Some(node) = client.socket.as_ref().and_then(|socket| self.process(socket.slot)) else { continue };
            let record = node.core.cached(&room).filter(|record| record.ends() > wall);
            let is_old = record.is_some_and(|record| record.at < newest);
            faults.extend(is_old.then(|| format!("{} keeps an old event of {name:?}", node.id)));
            let (shown, kept) =
                (client.channels[name].shown.clone().unwrap_or_default(), record.map(data).unwrap_or_default());
            let is_other = shown != kept;
            faults.extend(
                is_other.then(|| format!("who came to {name:?} on {} was shown {shown:?}, not {kept:?}", node.id)),
            );
            self.tally.cached += 1;
        }
        faults
    }
}

/// Where a client believes what is not so.
fn misbeliefs(client: &Client, name: &ChannelName, audience: &Audience) -> Vec<String> {
    let (known, mut faults) = (&client.channels[name], Vec::new());
    let mut expect = |what: &str, believed: String, expected: String| {
        if believed != expected {
            faults.push(format!("{} believes of {name:?} {what} {believed}, not {expected}", client.user));
        }
    };
    expect("its subscription", format!("{:?}", known.stage), format!("{:?}", Stage::Joined));
    if name.kind().is_presence() {
        expect("members", format!("{:?}", known.members), format!("{:?}", audience.users));
    } else {
        expect("a count", format!("{:?}", known.count), format!("{:?}", Some(audience.sockets)));
    }
    faults
}

/// What the event says.
fn data(record: &CachedEvent) -> String {
    let Some(Message::Event(payload)) = wire::read(record.payload.clone()) else { return String::new() };
    let message: Value = serde_json::from_str(text_of(&payload.frame).unwrap_or_default()).unwrap_or_default();
    message["data"].as_str().unwrap_or_default().to_owned()
}
