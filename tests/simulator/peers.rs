//! What a node's core puts out, and what its rooms tell it: what the bus's thread does in the product.

use gaung::{
    event::{
        EncodedEvent,
        wire::{self, Message},
    },
    protocol::ChannelName,
    room::{FromPeers, RoomMessage, backlog::Permit},
};
use gaung_cluster::{
    NodeId, Room,
    core::{Input, Output},
    frame::{Gap, Numbering, RoomEvent},
    remote::RemoteChange,
};

use crate::world::{World, channel};

impl World {
    /// Some of what a node's rooms have told its core.
    pub fn tell_core(&mut self, slot: usize) {
        while let Some(input) = self.process_mut(slot).and_then(|node| node.bus.next_input()) {
            self.take_input(slot, input);
            if self.net.random.chance(2_000) {
                return;
            }
        }
    }

    pub fn take_input(&mut self, slot: usize, input: Input) {
        self.note_cached(slot, &input);
        self.step(slot, input);
    }

    fn note_cached(&mut self, slot: usize, input: &Input) {
        if let (Input::Cache { room, event, .. }, Some(node)) = (input, self.process(slot)) {
            self.cached.push((room.clone(), event.at, node.id));
        }
    }

    pub fn carry_out(&mut self, slot: usize, output: Output) {
        let moment = self.moment();
        match output {
            Output::Publish(subject, bytes) => {
                if self.net.is_away(slot) {
                    self.faults.push("something was published while the bus was away".to_owned());
                }
                self.net.publish(slot, &subject, &bytes);
            }
            Output::Subscribe(room) => {
                self.process_mut(slot).into_iter().for_each(|node| _ = node.subscribed.insert(room.clone()));
            }
            Output::Unsubscribe(room) => {
                self.process_mut(slot).into_iter().for_each(|node| _ = node.subscribed.remove(&room));
            }
            Output::Serving(state) => {
                let channel = channel(state.room.channel());
                let opened = FromPeers::opened(&channel, state, moment);
                self.pass_on(slot, channel, opened);
            }
            Output::Deliver(node, event, numbering) => self.deliver(slot, node, event, numbering),
            Output::Cached(_, room, record, trace) => {
                let permit = self.admit(slot, record.payload.len());
                self.pass_on_cached(slot, &room, |channel| FromPeers::cached(channel, record, (trace, permit), moment));
            }
            Output::CacheRepaired(room, record) => {
                self.pass_on_cached(slot, &room, |channel| FromPeers::cache_repaired(channel, record, moment));
            }
            Output::CacheEvicted(room, at) => {
                self.pass_on(slot, channel(room.channel()), FromPeers::CacheEvicted(at));
            }
            Output::Remote(RemoteChange::Subscriptions { room, sockets }) => {
                self.pass_on(slot, channel(room.channel()), FromPeers::subscriptions(sockets));
            }
            Output::Remote(RemoteChange::Member { room, user, member }) => {
                self.pass_on(slot, channel(room.channel()), FromPeers::Member(user, member));
            }
            Output::Store(room, number, bytes) => self.store(slot, room, number, bytes),
            Output::Mark(number) => self.mark(slot, number),
            Output::ReadStored(node, unheard_for) => self.read_soon(slot, node, unheard_for),
            Output::Lost { origin, gap, room, events } => self.lose(slot, (origin, gap), room, events),
            Output::Asked { from, number, question } => self.be_asked(slot, from, number, question),
            Output::Answered { from, number, answer } => self.be_answered(slot, from, number, answer),
            // Nobody signs in, no app has webhooks, and no request has a key.
            Output::Remote(RemoteChange::User { .. }) | Output::Post(_) | Output::Published(_) => {}
            // Nobody measures.
            Output::Acknowledged(_) => {}
            Output::PageTaken(page) => self.be_claimed(slot, page),
        }
    }

    fn lose(&mut self, slot: usize, (origin, gap): (NodeId, Gap), room: Option<Room>, events: u64) {
        let Some(receiver) = self.process(slot).map(|node| node.id) else { return };
        self.promises.lose(receiver, origin, gap.stream, events);
        if let Some(room) = room {
            self.losses.insert((receiver, origin, room.clone()));
            self.pass_on(slot, channel(room.channel()), FromPeers::lost(origin, gap.through));
        }
    }

    fn deliver(
        &mut self,
        slot: usize,
        node: NodeId,
        RoomEvent { room, payload, trace }: RoomEvent,
        numbering: Numbering,
    ) {
        let channel = channel(room.channel());
        let Some(Message::Event(payload)) = wire::read(payload) else {
            return self.faults.push(format!("{room:?} was sent what is no event"));
        };
        let permit = self.admit(slot, payload.frame.len());
        self.note_delivered(slot, &channel, &payload.frame);
        let event = EncodedEvent::from_peer(channel.clone(), payload, trace, self.moment().0);
        self.pass_on(slot, channel, FromPeers::event(event, node, numbering, permit));
    }

    /// What is over is not passed on.
    fn pass_on_cached(&mut self, slot: usize, room: &Room, read: impl FnOnce(&ChannelName) -> Option<FromPeers>) {
        let channel = channel(room.channel());
        if let Some(news) = read(&channel) {
            self.pass_on(slot, channel, news);
        }
    }

    fn pass_on(&mut self, slot: usize, channel: ChannelName, news: FromPeers) {
        self.tell(slot, &channel, RoomMessage::FromPeers(news));
    }

    fn admit(&self, slot: usize, bytes: usize) -> Permit {
        let backlog = self.process(slot).map(|node| node.backlog.clone());
        backlog.expect("a process has delivered it").admit(bytes).expect("there is room for events")
    }
}
