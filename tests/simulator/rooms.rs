//! Messages on their way to rooms, and what rooms want done: what shard and room actor do in the product.

use std::{sync::Arc, time::Duration};

use gaung::{
    outbox::Outbox,
    protocol::{ChannelName, EventOrigin, SocketId},
    room::{
        Completeness, Forwarded, RoomMessage, Route, publish_on_bus, route,
        state::{Effect, PendingClientEvent, QuestionOutcome, Reach, RoomInput, Serving, Surroundings, Task},
        unserved_record,
    },
};
use gaung_cluster::NodeId;
use serde_json::Value;

use crate::{
    client::{Heard, Speaker, messages},
    drain::is_mover,
    node::{Mail, Place},
    world::{Trouble, World, channel, room},
};

impl World {
    /// The rooms of a node have a millisecond: clocks ring, some messages are taken, perhaps a turn.
    pub fn run_rooms(&mut self, slot: usize) {
        let now = self.net.now;
        self.end_inquiries(slot);
        while let Some((place, clock)) = self.process_mut(slot).and_then(|node| node.rung(now)) {
            self.step_room(slot, &place, RoomInput::Woke(clock));
        }
        while self.process(slot).is_some_and(|node| !node.mailbox.is_empty()) && self.net.random.chance(7_000) {
            self.take_mail(slot);
        }
        if self.process(slot).is_some_and(|node| !node.turns.is_empty()) && self.net.random.chance(5_000) {
            self.take_turn(slot);
        }
    }

    fn take_mail(&mut self, slot: usize) {
        let app = self.app.clone();
        let Some(node) = self.process_mut(slot) else { return };
        match node.mailbox.pop_front() {
            None => {}
            Some(Mail::Answer(asked)) => self.answer(slot, asked),
            Some(Mail::Retire(channel)) => node.retire(&app, &channel),
            Some(Mail::Message(channel, message)) => self.forward(slot, &channel, *message),
        }
    }

    fn forward(&mut self, slot: usize, channel: &ChannelName, message: RoomMessage) {
        let app = self.app.clone();
        let Some(node) = self.process_mut(slot) else { return };
        if node.room(channel).is_none() {
            match route(&message, Reach::Cluster) {
                Route::Open => node.open(&app, channel),
                Route::Share => return self.share(slot, message),
                Route::Refuse(sender) => {
                    let fault = format!("a client event of {:?} was refused, whose room was not there", sender.id);
                    return self.faults.push(fault);
                }
                Route::Parted(visit) => {
                    let visit = visit.clone();
                    return self.parted(slot, visit, channel, None);
                }
                Route::Unheard(_) | Route::Drop => return,
            }
        }
        if let Some(place) = self.process(slot).and_then(|node| node.place(channel)) {
            self.step_room(slot, &place, RoomInput::Message(Forwarded { message, underway: None }));
        }
    }

    fn share(&mut self, slot: usize, message: RoomMessage) {
        let (Some(node), RoomMessage::Publish(event, _, Some(permit))) = (self.process(slot), message) else { return };
        let record = unserved_record(&event, self.app.settings().cache_ttl);
        node.cluster.cache(&self.app, &event.channel, record, (event.trace, permit));
    }

    fn take_turn(&mut self, slot: usize) {
        let bits = self.net.random.bits();
        let Some(node) = self.process_mut(slot) else { return };
        let turn = bits % node.turns.len() as u64;
        let (place, task) = node.turns.swap_remove(turn as usize);
        match task {
            Task::Announce => self.step_room(slot, &place, RoomInput::Announce),
            Task::Serve => self.serve(slot, &place),
            Task::Replay | Task::ReplayLater => self.replay(slot, &place),
            Task::WakeAfter(clock, _) => self.step_room(slot, &place, RoomInput::Woke(clock)),
            Task::AskPeers => self.ask_peers(slot, &place),
            Task::AwaitReturn => {}
        }
    }

    fn serve(&mut self, slot: usize, place: &Place) {
        self.step_room(slot, place, RoomInput::AnnounceDue);
        let Some(state) = self.process_mut(slot).and_then(|node| node.state(place)) else { return };
        let (writes, served) = state.hand_over();
        for write in writes {
            self.write(&write.outbox, &write.frames);
        }
        let now = self.moment().0;
        if let Some(state) = self.process_mut(slot).and_then(|node| node.state(place)) {
            state.written(&served.completed, now);
        }
        // A room may also go on because somebody has fallen behind.
        let goes_on = served.more || self.net.random.chance(1_000);
        let serving = if goes_on { Serving::GoesOn } else { Serving::Ends };
        drop(served);
        self.step_room(slot, place, RoomInput::Served(serving));
        if goes_on {
            self.schedule(slot, place, Task::Serve);
        }
    }

    fn replay(&mut self, slot: usize, place: &Place) {
        for _ in 0..self.net.random.below(4) {
            self.step_room(slot, place, RoomInput::Replay);
        }
        self.step_room(slot, place, RoomInput::EndReplay);
    }

    /// Gives a room an input, unless it is gone, and carries out what it wants done.
    pub fn step_room(&mut self, slot: usize, place: &Place, input: RoomInput) {
        let (app, moment) = (self.app.clone(), self.moment());
        let Some(node) = self.process_mut(slot) else { return };
        let around = Surroundings::at(&app, node.cluster.is_leaving(), moment);
        let effects = node.step(place, input, &around);
        // A session that is over waits for nothing.
        let is_parting = effects.iter().any(|effect| matches!(effect, Effect::Parted(..)));
        for effect in effects {
            if !(is_parting && matches!(effect, Effect::Unsubscribed(_))) {
                self.perform(slot, place, effect);
            }
        }
        if let Some(state) = self.process_mut(slot).and_then(|node| node.state(place)) {
            state.answered(moment.0);
        }
    }

    fn perform(&mut self, slot: usize, place: &Place, effect: Effect) {
        let (app, channel) = (self.app.clone(), &place.channel);
        let Some(node) = &self.net.slots[slot].process else { return };
        match effect {
            Effect::Answer(outbox, frames) => self.write(&outbox, &frames.concat()),
            Effect::ShareCount(sockets) => node.cluster.count(&app, channel, sockets),
            Effect::ShareMember(member) => node.cluster.member(&app, channel, member),
            Effect::ShareCached(record, trace, permit) => node.cluster.cache(&app, channel, record, (trace, permit)),
            Effect::AskPositions => node.cluster.serve(app.id(), channel.as_str()),
            Effect::SendClientEvent(event) => self.send_client_event(slot, place, event),
            Effect::Parted(visit, heard) => self.parted(slot, visit, channel, heard),
            Effect::Schedule(task) => self.schedule(slot, place, task),
            Effect::Unsubscribed(socket) => self.unsubscribed(slot, socket, channel),
            Effect::CountRecovery(Completeness::Whole, events) => {
                self.tally.whole += 1;
                self.tally.replayed += events as u64;
            }
            Effect::CountGap(origin) => self.note_gap(slot, origin, channel),
            Effect::CountQuestion(QuestionOutcome::Whole) => self.tally.asked_whole += 1,
            Effect::CountQuestion(QuestionOutcome::Stream) => self.tally.asked_stream += 1,
            Effect::CountQuestion(QuestionOutcome::StreamAway) => self.tally.asked_away += 1,
            Effect::CountQuestion(QuestionOutcome::Part | QuestionOutcome::Busy) => self.tally.asked_part += 1,
            Effect::CountQuestion(QuestionOutcome::Silent) => self.tally.asked_silent += 1,
            Effect::CountRecovery(Completeness::Partial(_), _) => self.tally.partial += 1,
            Effect::RefuseJoin { .. } | Effect::RefuseClientEvent(_) | Effect::Close(..) | Effect::Revoke(..) => {
                self.faults.push(format!("{effect:?} at {}", self.net.now));
            }
            // Nobody signs in.
            Effect::BeginWatch(..) | Effect::EndWatch(_) | Effect::ShareUser(_) => {}
            // Told to webhooks, consoles and counters, or of a node that is alone.
            Effect::Webhook(_)
            | Effect::Subscribed(_)
            | Effect::Unheard(_)
            | Effect::Delivered(..)
            | Effect::CountClientEvent
            | Effect::CountEvicted(_)
            | Effect::Shelve { .. }
            | Effect::CountWaited(_)
            | Effect::AskPeers
            | Effect::Opened
            | Effect::Handled(_) => {}
        }
    }

    /// A node that was cut off has published while this one did not know it.
    fn note_gap(&mut self, slot: usize, origin: EventOrigin, channel: &ChannelName) {
        let Some(receiver) = self.process(slot).map(|node| node.id) else { return };
        let mut publishers = self.numbers.keys().map(|(speaker, _)| speaker.node);
        let node = publishers.find(|node| EventOrigin::of_node(node.bits()) == origin);
        node.into_iter().for_each(|node| _ = self.losses.insert((receiver, node, room(channel))));
    }

    fn schedule(&mut self, slot: usize, place: &Place, task: Task) {
        let now = self.net.now;
        let Some(node) = self.process_mut(slot) else { return };
        match task {
            Task::Replay => self.replay(slot, place),
            Task::ReplayLater | Task::Announce | Task::Serve | Task::AskPeers => node.turns.push((place.clone(), task)),
            Task::AwaitReturn => {}
            Task::WakeAfter(clock, pause) => node.wake_at(now + millis(pause), place.clone(), clock),
        }
    }

    /// From here on the event is accepted.
    fn send_client_event(&mut self, slot: usize, place: &Place, event: Box<PendingClientEvent>) {
        let Some(node) = self.process(slot) else { return };
        let permit = node.cluster.reserve(1, event.event.frame.len()).expect("there is room on the bus");
        publish_on_bus(&node.cluster, &self.app, &event.event, permit);
        let data = event.event.words().expect("it was published here").data.clone();
        let (origin, number) = Speaker::read(&data).expect("a client has sent it");
        self.tally.client_events += 1;
        self.promise(slot, origin, &place.channel, number);
        self.step_room(slot, place, RoomInput::ClientEventSent(event));
    }

    /// The room has let go of a socket, which may join again.
    fn unsubscribed(&mut self, slot: usize, socket: SocketId, channel: &ChannelName) {
        let is_it = |client: &&mut crate::client::Client| {
            client.socket.as_ref().is_some_and(|known| known.slot == slot && known.speaker.socket == socket.bits())
        };
        if let Some(client) = self.clients.iter_mut().find(is_it) {
            match &mut client.page {
                Some(page) => page.let_go(channel),
                None => _ = client.channels.remove(channel),
            }
        }
    }

    /// A socket is written to; one that is gone hears nothing.
    fn write(&mut self, outbox: &Arc<Outbox>, frames: &[u8]) {
        if self.write_page(outbox, frames) {
            return;
        }
        let has = |client: &crate::client::Client| {
            client.socket.as_ref().is_some_and(|socket| Arc::ptr_eq(&socket.outbox, outbox))
        };
        if let Some(client) = self.clients.iter().position(has) {
            messages(frames).iter().for_each(|message| self.hear(client, message));
        }
    }

    pub fn hear(&mut self, number: usize, message: &Value) {
        let channel = channel(message["channel"].as_str().unwrap_or_default());
        let client = &mut self.clients[number];
        let Some(speaker) = client.socket.as_ref().map(|socket| socket.speaker) else { return };
        let heard = client.hear(&channel, message);
        self.begin_progress(number, &channel, message);
        let fault = match heard {
            Ok(Heard::Nothing) => None,
            Ok(Heard::Event(origin, _)) if origin == speaker => Some("it published that itself".to_owned()),
            Ok(Heard::Event(origin, event)) => self.hear_event(number, &channel, (origin, event)),
            Ok(Heard::Removed(user)) => {
                self.tally.members += 1;
                let has_moved = self.trouble == Trouble::Leaving && is_mover(&user);
                has_moved.then(|| format!("{user} has only moved"))
            }
            Err(fault) => Some(fault),
        };
        self.faults.extend(fault.map(|fault| format!("{speaker} heard {message} at {}: {fault}", self.net.now)));
    }

    fn hear_event(&mut self, number: usize, channel: &ChannelName, event: (Speaker, u64)) -> Option<String> {
        let (is_page, room) = (self.is_page(number), room(channel));
        let client = &mut self.clients[number];
        let receiver = client.socket.as_ref()?.speaker;
        self.tally.heard += 1;
        let (origin, event) = event;
        let progress = client.progress.get_mut(channel).filter(|_| origin.socket == 0);
        let losses = &self.losses;
        let has_lost = |node: &NodeId| losses.contains(&(*node, origin.node, room.clone()));
        let missing = progress.and_then(|progress| {
            let is_excused = progress.is_stale || progress.unmet.contains(&origin.node);
            let may_miss = is_excused || progress.nodes.iter().any(has_lost);
            progress.hear(origin, event, may_miss, is_page)
        });
        missing.or_else(|| (!is_page).then(|| self.promises.deliver(receiver, origin, &room, event))?)
    }
}

/// No clock rings early.
fn millis(pause: Duration) -> u64 {
    u64::try_from(pause.as_micros().div_ceil(1_000)).expect("a pause is short")
}
