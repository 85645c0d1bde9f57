//! Rooms that ask other nodes for what they missed, and are asked: what the room actor and the bus's thread do in the
//! product.

use std::{collections::BTreeMap, mem, time::Duration};

use bytes::Bytes;
use gaung::{
    cluster::Question,
    protocol::{ChannelName, Position},
    room::{
        Forwarded, FromPeers, Inquiry, RoomMessage, Wanted,
        inquiry::{PATIENCE, answer},
        state::RoomInput,
    },
};
use gaung_cluster::{
    NodeId,
    core::{Input, Published},
};

use crate::{
    node::{Mail, Place},
    world::{World, room},
};

/// When those are asked again that have not answered.
const AGAIN: u64 = 750;

/// A question under way.
pub struct Asked {
    place: Place,
    inquiry: Inquiry,
    asked: Position,
    wanted: Wanted,
    /// The nodes it went to, by number.
    numbers: BTreeMap<u64, NodeId>,
    question: Bytes,
    began: u64,
    /// When those are asked again that have not answered.
    again_at: u64,
    /// When what the stream has is there.
    reads_at: Option<u64>,
}

impl Asked {
    fn is_over(&self, now: u64, has_stream: bool) -> bool {
        let is_answered = self.inquiry.is_complete() || now > self.began + patience(self.inquiry.patience(has_stream));
        self.reads_at.map_or(is_answered, |at| at <= now)
    }
}

fn patience(time: Duration) -> u64 {
    u64::try_from(time.as_millis()).expect("it is short")
}

/// What another node asks, on its way to the room.
pub struct Answering {
    channel: ChannelName,
    since: Position,
    /// What the core knew when it came.
    published: Published,
    to: NodeId,
    number: u64,
}

impl World {
    pub fn ask_peers(&mut self, slot: usize, place: &Place) {
        let (now, app) = (self.net.now, self.app.id().clone());
        let Some(node) = self.process_mut(slot) else { return };
        let Some((since, wanted)) = node.state(place).and_then(|state| state.question()) else { return };
        let published = node.core.published_in(&room(&place.channel));
        let inquiry = Inquiry::new(place.channel.clone(), node.id, &published);
        let numbers: BTreeMap<u64, NodeId> = node.core.peers_to_ask().map(|peer| (node.number(), peer)).collect();
        let (place, peers, asked) = (place.clone(), numbers.clone(), since.clone());
        let question = Question::History { app, channel: place.channel.clone(), since }.encode();
        let (began, again_at) = (now, now + AGAIN);
        let asked = Asked {
            place,
            inquiry,
            asked,
            wanted,
            numbers,
            question: question.clone(),
            began,
            again_at,
            reads_at: None,
        };
        node.asked.push(asked);
        for (number, to) in peers {
            self.step(slot, Input::Ask { to, number, question: question.clone() });
        }
        self.end_inquiries(slot);
    }

    /// Another node asks: what waits for the room comes before it.
    pub fn be_asked(&mut self, slot: usize, from: NodeId, number: u64, question: Bytes) {
        let Some(node) = self.process_mut(slot) else { return };
        match Question::read(question) {
            Some(Question::History { channel, since, .. }) => {
                let published = node.core.published_in(&room(&channel));
                node.mailbox.push_back(Mail::Answer(Answering { channel, since, published, to: from, number }));
            }
            Some(Question::Page(page)) => self.be_asked_for_page(slot, page, (from, number)),
            Some(Question::LeftPages(pages)) => self.keep_pages(slot, pages, from),
            // Its clients have sockets.
            Some(Question::XhrSend(_) | Question::XhrMoved(_) | Question::XhrPoll(_)) => {}
            // And no tokens.
            Some(Question::Revoke(_) | Question::Revocations { .. }) | None => {}
        }
    }

    pub fn answer(&mut self, slot: usize, asked: Answering) {
        let now = self.moment().0;
        let Answering { channel, since, published, to, number } = asked;
        let Some(node) = self.process(slot) else { return };
        let kept = node.room(&channel).map(|room| room.share_history(&since, now)).unwrap_or_default();
        let answer = answer(node.id, &published, kept);
        self.step(slot, Input::Answer { to, number, answer });
    }

    pub fn be_answered(&mut self, slot: usize, from: NodeId, number: u64, answer: Bytes) {
        let now = self.moment().0;
        if self.be_answered_for_page(slot, number, &answer) {
            return;
        }
        let Some(node) = self.process_mut(slot) else { return };
        let asked = node.asked.iter_mut().find(|asked| asked.numbers.get(&number) == Some(&from));
        if let Some(asked) = asked {
            asked.numbers.remove(&number);
            asked.inquiry.take(from, answer, now);
        }
    }

    /// A question may have been lost, or its answer.
    fn ask_again(&mut self, slot: usize) {
        let (now, mut questions) = (self.net.now, Vec::new());
        let Some(node) = self.process_mut(slot) else { return };
        let mut all = mem::take(&mut node.asked);
        for asked in all.iter_mut().filter(|asked| asked.again_at <= now && asked.reads_at.is_none()) {
            asked.again_at = now + AGAIN;
            for to in asked.inquiry.awaited() {
                let number = node.number();
                asked.numbers.insert(number, to);
                questions.push((to, number, asked.question.clone()));
            }
        }
        node.asked = all;
        for (to, number, question) in questions {
            self.step(slot, Input::Ask { to, number, question });
        }
    }

    /// Those that all have answered, and those whose time is over. Then the stream is read, if there is one.
    pub fn end_inquiries(&mut self, slot: usize) {
        self.ask_again(slot);
        let now = self.net.now;
        let has_stream = self.stream.is_some();
        let Some(node) = self.process_mut(slot) else { return };
        for asked in node.asked.iter_mut().filter(|asked| now > asked.began + patience(PATIENCE)) {
            asked.inquiry.look(&node.core.published_in(&room(&asked.place.channel)));
        }
        let is_over = |asked: &mut Asked| asked.is_over(now, has_stream);
        let ended: Vec<Asked> = node.asked.extract_if(.., is_over).collect();
        for asked in ended {
            self.end_inquiry(slot, asked);
        }
    }

    fn end_inquiry(&mut self, slot: usize, mut asked: Asked) {
        let (now, moment) = (self.net.now, self.moment().0);
        if asked.reads_at.is_some() {
            let read = self.read_stream(slot, &room(&asked.place.channel));
            asked.inquiry.take_stored(read, &asked.wanted, moment);
        } else if self.stream.is_some() && asked.inquiry.needs_stream(&asked.asked, &asked.wanted, moment) {
            asked.reads_at = Some(now + self.net.random.between(2, 200));
            return self.process_mut(slot).map_or((), |node| node.asked.push(asked));
        }
        let message = RoomMessage::FromPeers(FromPeers::History(asked.inquiry.end()));
        self.step_room(slot, &asked.place, RoomInput::Message(Forwarded { message, underway: None }));
    }
}
