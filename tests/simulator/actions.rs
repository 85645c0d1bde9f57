//! What clients and back ends do, at random.

use std::sync::Arc;

use gaung::{
    event::{Event, Words},
    outbox::Outbox,
    protocol::{ChannelName, SocketId},
    room::{ClientEvent, RoomMessage, state::keeps, travels_alone},
};

use crate::{
    client::{Client, Socket, Speaker, Stage, Subscription},
    drain::is_mover,
    world::{CACHE_CHANNELS, CHANNELS, Trouble, World, channel, room},
};

/// How many pages there are. Two and two have one user.
const CLIENTS: u64 = 12;

impl World {
    /// All clients come within the first seconds, when no node may be there yet.
    pub fn invite_clients(&mut self) {
        for number in 0..CLIENTS {
            let user = format!("user-{}", number / 2);
            let returns_at = self.net.random.below(8_000);
            self.clients.push(Client::new(user, returns_at));
        }
        self.invite_movers();
        self.invite_sleepers();
        self.invite_pages();
    }

    /// Something happens to one node's clients.
    pub fn act(&mut self, slot: usize) {
        match self.net.random.below(16) {
            0..=5 => self.join_or_leave(slot),
            6..=10 => {
                let channel = self.any_channel();
                self.publish(slot, &channel);
            }
            11..=14 => self.say_something(slot),
            _ => self.disconnect_one(slot),
        }
    }

    fn any_channel(&mut self) -> ChannelName {
        channel(CHANNELS[self.net.random.below(CHANNELS.len() as u64) as usize])
    }

    /// One of the clients of a slot that do what they like.
    fn any_client(&mut self, slot: usize) -> Option<usize> {
        let is_here = |client: &Client| client.socket.as_ref().is_some_and(|socket| socket.slot == slot);
        let here = self.clients.iter().enumerate().filter(|(_, client)| is_here(client) && !is_mover(&client.user));
        let here: Vec<usize> = here.map(|(number, _)| number).collect();
        (!here.is_empty()).then(|| here[self.net.random.below(here.len() as u64) as usize])
    }

    fn join_or_leave(&mut self, slot: usize) {
        let channel = self.any_channel();
        let Some(client) = self.any_client(slot) else { return };
        match self.clients[client].channels.get(&channel).map(|known| known.stage) {
            None => self.join(client, &channel),
            Some(Stage::Asked | Stage::Joined) if !is_settled(client) => {
                self.leave(client, &channel);
                self.clients[client].progress.remove(&channel);
            }
            Some(Stage::Asked | Stage::Joined | Stage::Left) => {}
        }
    }

    pub fn join(&mut self, client: usize, channel: &ChannelName) {
        let Some(socket) = self.clients[client].socket.clone() else { return };
        let join = self.clients[client].join(&socket, channel);
        let join = self.page_join(client, join, channel);
        self.clients[client].channels.insert(channel.clone(), Subscription::new(channel));
        self.tally.joins += 1;
        if let Some(join) = join {
            self.tell(socket.slot, channel, RoomMessage::Join(join));
        }
    }

    fn leave(&mut self, client: usize, channel: &ChannelName) {
        if !self.hears_leave(client, channel) {
            return;
        }
        let client = &mut self.clients[client];
        let (Some(socket), Some(known)) = (client.socket.clone(), client.channels.get_mut(channel)) else { return };
        known.stage = Stage::Left;
        self.promises.leave(socket.speaker, &room(channel));
        let leave = RoomMessage::Leave(SocketId::from_bits(socket.speaker.socket));
        self.tell(socket.slot, channel, leave);
    }

    /// A session ends: it gives back all its channels.
    pub fn disconnect(&mut self, client: usize, returns_at: u64) {
        if self.is_page(client) {
            return if self.net.random.chance(3_000) {
                self.send_page_away(client);
            } else {
                self.lose_socket(client, returns_at);
            };
        }
        let wanted: Vec<ChannelName> = self.clients[client].wanted().cloned().collect();
        wanted.iter().for_each(|channel| self.leave(client, channel));
        self.clients[client].disconnect(wanted, returns_at);
    }

    fn disconnect_one(&mut self, slot: usize) {
        let returns_at = self.net.now + self.net.random.between(10, 4_000);
        if let Some(client) = self.any_client(slot).filter(|client| !is_settled(*client)) {
            self.disconnect(client, returns_at);
        }
    }

    /// Those who have waited long enough connect to some node that takes sockets.
    pub fn connect_clients(&mut self) {
        for client in 0..self.clients.len() {
            let waits = self.clients[client].socket.is_none() && self.clients[client].returns_at <= self.net.now;
            if !waits {
                continue;
            }
            match self.any_node_for(client) {
                Some(slot) => self.connect(client, slot),
                None => self.clients[client].returns_at = self.net.now + 50,
            }
        }
    }

    fn any_node_for(&mut self, client: usize) -> Option<usize> {
        let takes_sockets = |slot: &usize| {
            let place = &self.net.slots[*slot];
            let is_open = self.drains[*slot].is_none() && place.stopped_until <= self.net.now;
            let is_wanted = !is_mover(&self.clients[client].user) || self.is_ready(*slot);
            place.process.is_some() && is_open && is_wanted
        };
        let open: Vec<usize> = (0..self.net.slots.len()).filter(takes_sockets).collect();
        (!open.is_empty()).then(|| open[self.net.random.below(open.len() as u64) as usize])
    }

    pub fn connect(&mut self, client: usize, slot: usize) {
        if self.is_page(client) {
            return self.connect_page(client, slot);
        }
        let Some(node) = self.process(slot).map(|node| node.id) else { return };
        self.sockets += 1;
        let speaker = Speaker { node, socket: self.sockets };
        self.clients[client].socket = Some(Socket { slot, speaker, outbox: Outbox::new(usize::MAX) });
        let channels = std::mem::take(&mut self.clients[client].rejoins);
        channels.iter().for_each(|channel| self.join(client, channel));
    }

    /// A back end posts an event to a node, which takes it.
    pub fn publish(&mut self, slot: usize, channel: &ChannelName) {
        let Some(node) = self.process(slot) else { return };
        let origin = Speaker { node: node.id, socket: 0 };
        let number = self.next_number(origin, channel);
        let words = Words::new("e", origin.data(number));
        let event = Event::from_back_end(channel.clone(), words, None, self.moment()).encode();
        self.promise(slot, origin, channel, number);
        let app = self.app.clone();
        let Some(node) = self.process_mut(slot) else { return };
        let permit = Some(node.cluster.reserve(1, event.frame.len()).expect("there is room on the bus"));
        if keeps(&app, channel, true).is_some() {
            return permit.into_iter().for_each(|permit| node.cluster.publish_numbered(&app, &event, permit));
        }
        let (alone, by_its_room) = if travels_alone(&event) { (permit, None) } else { (None, permit) };
        if channel.kind().is_cached() || node.room(channel).is_some() {
            let place = node.backlog.reserve(&Arc::default(), 1, event.frame.len()).expect("there is room for events");
            node.tell(channel, RoomMessage::Publish(event.clone(), place, by_its_room));
        }
        alone.into_iter().for_each(|permit| node.cluster.publish(&app, &event, permit));
    }

    fn say_something(&mut self, slot: usize) {
        // A page may have been let go without knowing it.
        let Some(client) = self.any_client(slot).filter(|client| !self.is_page(*client)) else { return };
        let Some(socket) = self.clients[client].socket.clone() else { return };
        let takes_them = |channel: &&ChannelName| channel.as_str().starts_with('p');
        let channels: Vec<ChannelName> = self.clients[client].joined().filter(takes_them).cloned().collect();
        if channels.is_empty() {
            return;
        }
        let channel = &channels[self.net.random.below(channels.len() as u64) as usize];
        let data = socket.speaker.data(self.next_number(socket.speaker, channel));
        let event = ClientEvent { sender: socket.subscriber(), name: "client-e".to_owned(), data };
        let Some(node) = self.process_mut(slot) else { return };
        let permit = node.backlog.reserve(&Arc::default(), 1, event.data.len()).expect("there is room for events");
        node.tell(channel, RoomMessage::ClientEvent(event, permit));
    }

    /// After all has healed, an event comes to everybody from anywhere. Some cache channels are left as they are, or nobody
    /// would see what they had kept.
    pub fn publish_everywhere(&mut self) {
        let slots: Vec<usize> = (0..self.net.slots.len()).filter(|slot| self.process(*slot).is_some()).collect();
        for name in CHANNELS {
            if CACHE_CHANNELS.contains(&name) && self.net.random.chance(5_000) {
                continue;
            }
            let slot = slots[self.net.random.below(slots.len() as u64) as usize];
            self.publish(slot, &channel(name));
        }
    }

    /// In the end somebody comes to each cache channel on each node, and to a presence channel, where no event hurries what
    /// is told of members.
    pub fn look_at_caches(&mut self) {
        for slot in (0..self.net.slots.len()).filter(|slot| self.process(*slot).is_some()).collect::<Vec<_>>() {
            for name in CACHE_CHANNELS.into_iter().chain(["presence-1"]) {
                self.clients.push(Client::new("visitor".to_owned(), u64::MAX));
                let client = self.clients.len() - 1;
                self.connect(client, slot);
                self.join(client, &channel(name));
            }
        }
    }

    /// Whether movers are at home here.
    pub fn moves_members(&self) -> bool {
        self.trouble == Trouble::Leaving
    }
}

/// Whether a client leaves no channel by itself: what it was promised stands until its node dies, or the run ends.
fn is_settled(client: usize) -> bool {
    client.is_multiple_of(3)
}
