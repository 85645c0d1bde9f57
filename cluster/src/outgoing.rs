//! What this node publishes: its numbering, the ring behind it, and what the bus is known to have taken. A publish that
//! returned proves nothing; only the echo of a later heartbeat on the same connection does.

use std::{collections::VecDeque, time::Duration};

use bytes::Bytes;

use crate::{
    codec::encode,
    fact::Record,
    frame::{Frame, Gap, Head, Numbered, Numbering, Stream, Unnumbered},
    heads::Heads,
    ring::{Resend, Retention, Ring, Sent},
    room::NodeId,
    subject::Subject,
};

/// Beats whose echo is awaited at most.
const MAX_BEATS: usize = 64;

/// The publishing side of a node.
#[derive(Debug)]
pub struct Outgoing {
    node: NodeId,
    ring: Ring,
    heads: Heads,
    last: u64,
    confirmed: u64,
    connection: Connection,
}

/// Whether frames reach the bus.
#[derive(Debug)]
enum Connection {
    /// No connection: frames wait in the ring.
    Down,
    /// Connected: everything up to `sent` was given to the bus on this connection or confirmed before it.
    Up { sent: u64, beats: VecDeque<SentBeat> },
}

/// A beat whose echo is awaited: everything up to `sent` was given to the bus before it.
#[derive(Debug)]
struct SentBeat {
    count: u64,
    sent: u64,
    at: Duration,
}

/// A frame and where it goes.
pub type OutgoingFrame = (Subject, Bytes);

impl Outgoing {
    /// A node that has published nothing yet and is not connected.
    pub fn new(node: NodeId, retention: Retention) -> Self {
        let ring = Ring::new(retention);
        Self { node, ring, heads: Heads::default(), last: 0, confirmed: 0, connection: Connection::Down }
    }

    /// Numbers a frame and keeps it; returns its numbers, and the frame if it is to go out at once and not when its turn
    /// comes.
    pub fn publish(
        &mut self,
        stream: Stream,
        subject: Subject,
        content: Numbered,
        now: Duration,
    ) -> (Numbering, Option<OutgoingFrame>) {
        self.last += 1;
        let predecessor = self.heads.advance(stream, self.last, now);
        let events = events(&content);
        let bytes = encode(&Frame { origin: self.node, number: self.last, body: content.after(predecessor) });
        let (sent_to, waited) = (subject.clone(), Duration::ZERO);
        self.ring.push(Sent { subject: sent_to, stream, predecessor, events, at: now, waited, bytes: bytes.clone() });
        self.heads.forget(self.ring.first(), now);
        let frame = match &mut self.connection {
            Connection::Up { sent, .. } if *sent + 1 == self.last => {
                *sent = self.last;
                Some((subject, bytes))
            }
            Connection::Up { .. } | Connection::Down => None,
        };
        (Numbering { number: self.last, predecessor }, frame)
    }

    /// Says how long what was published last had waited before.
    pub fn note_wait(&mut self, waited: Duration) {
        self.ring.note_wait(waited);
    }

    /// What was published under a number, if it is remembered.
    pub fn sent(&self, number: u64) -> Option<&Sent> {
        self.ring.get(number)
    }

    /// A frame without a number of its own.
    pub fn unnumbered(&self, body: Unnumbered) -> Bytes {
        encode(&Frame { origin: self.node, number: self.last, body: body.into() })
    }

    /// Connected: what was never confirmed is to be published again.
    pub fn connect(&mut self) {
        self.connection = Connection::Up { sent: self.confirmed, beats: VecDeque::new() };
    }

    pub fn disconnect(&mut self) {
        self.connection = Connection::Down;
    }

    /// The next frames that wait for their turn, `most` of them, or of `bytes` bytes and one frame more.
    pub fn republish(&mut self, most: usize, bytes: usize) -> Vec<OutgoingFrame> {
        let Connection::Up { sent, .. } = &mut self.connection else { return Vec::new() };
        let (first, mut taken) = (self.ring.first().max(*sent + 1), 0);
        let waiting: Vec<OutgoingFrame> = (first..=self.last)
            .take(most)
            .map_while(|number| self.ring.get(number))
            .take_while(|frame| {
                let before = taken;
                taken += frame.bytes.len();
                before < bytes
            })
            .map(|frame| (frame.subject.clone(), frame.bytes.clone()))
            .collect();
        // What fell out of the ring before its turn is a gap that peers ask for, and are answered that it is gone.
        *sent = if waiting.is_empty() { self.last } else { first + waiting.len() as u64 - 1 };
        waiting
    }

    /// Notes a beat: its echo will confirm everything given to the bus before it.
    pub fn beat(&mut self, count: u64, now: Duration) {
        if let Connection::Up { sent, beats } = &mut self.connection {
            beats.push_back(SentBeat { count, sent: *sent, at: now });
            if beats.len() > MAX_BEATS {
                beats.pop_front();
            }
        }
    }

    /// A beat of our own came back; returns how long it took, if it went out on this connection.
    pub fn echo(&mut self, count: u64, now: Duration) -> Option<Duration> {
        let Connection::Up { beats, .. } = &mut self.connection else { return None };
        let beat = beats.iter().find(|beat| beat.count == count)?;
        let round_trip = now.saturating_sub(beat.at);
        self.confirmed = self.confirmed.max(beat.sent);
        beats.retain(|beat| beat.count > count);
        Some(round_trip)
    }

    /// Whether nothing waits for its turn.
    pub fn is_current(&self) -> bool {
        matches!(self.connection, Connection::Up { sent, .. } if sent == self.last)
    }

    /// The last number that was used.
    pub fn last(&self) -> u64 {
        self.last
    }

    /// The number up to which an echo confirmed what was published.
    pub fn confirmed(&self) -> u64 {
        self.confirmed
    }

    /// A number after which this node published nothing in a room's stream.
    pub fn last_in(&self, stream: Stream) -> u64 {
        self.heads.after(stream)
    }

    /// The last number of the state stream.
    pub fn state(&self) -> u64 {
        self.heads.state()
    }

    /// A frame that this node published, while the ring has it.
    pub fn frame(&self, number: u64) -> Option<Bytes> {
        self.ring.get(number).map(|sent| sent.bytes.clone())
    }

    /// The frames of a gap, of about `most` bytes.
    pub fn resend(&self, gap: Gap, most: usize) -> Resend {
        self.ring.resend(gap, most)
    }

    /// Whether something of a gap could be sent again.
    pub fn remembers(&self, gap: Gap) -> bool {
        self.ring.remembers(gap)
    }

    /// For how long the ring keeps what the bus has not confirmed, if as much comes as lately.
    pub fn lasts(&self, now: Duration) -> Duration {
        self.ring.lasts(self.ring.first().max(self.confirmed + 1), now)
    }

    /// The last numbers of all streams, in pages of which only the last is not full.
    pub fn heads(&self) -> Vec<Vec<Head>> {
        self.heads.pages()
    }

    /// The next heads to announce, as many as fit into one frame.
    pub fn due_heads(&mut self, now: Duration) -> Vec<Head> {
        self.heads.due(now)
    }

    /// Whether more were due.
    pub fn has_more_heads(&self) -> bool {
        self.heads.is_behind()
    }

    /// Forgets what is too old.
    pub fn expire(&mut self, now: Duration) {
        self.ring.expire(now);
        self.heads.expire(self.ring.first(), now);
    }
}

/// How many events are lost with a frame. Its other contents are requested anew.
fn events(content: &Numbered) -> u8 {
    let events = match content {
        Numbered::Event(_) => 1,
        Numbered::Records(records, _) => {
            records.iter().filter(|record| matches!(record, Record::Cached { .. })).count()
        }
        Numbered::Facts(_) | Numbered::Published(_) | Numbered::Claims(_) | Numbered::Unknown { .. } => 0,
    };
    u8::try_from(events).unwrap_or(u8::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{codec::decode, frame::Body};

    const ROOM: Stream = Stream::from_bits(7);

    fn outgoing() -> Outgoing {
        Outgoing::new(NodeId::from_bits(1), Retention { frames: 4, ..Retention::default() })
    }

    fn publish(outgoing: &mut Outgoing, stream: Stream) -> Option<(u64, u64)> {
        let (_, frame) = outgoing.publish(stream, Subject::State, Numbered::Facts(Vec::new()), Duration::ZERO);
        frame.map(numbers)
    }

    fn numbers((_, bytes): OutgoingFrame) -> (u64, u64) {
        let frame = decode(bytes).unwrap();
        let Body::Numbered { predecessor, .. } = frame.body else { panic!("it is numbered") };
        (frame.number, predecessor)
    }

    fn republished(outgoing: &mut Outgoing, most: usize) -> Vec<u64> {
        outgoing.republish(most, usize::MAX).into_iter().map(|post| numbers(post).0).collect()
    }

    #[test]
    fn frames_have_one_numbering_and_a_predecessor_per_stream() {
        let mut outgoing = outgoing();
        outgoing.connect();
        assert_eq!(publish(&mut outgoing, Stream::STATE), Some((1, 0)));
        assert_eq!(publish(&mut outgoing, ROOM), Some((2, 0)));
        assert_eq!(publish(&mut outgoing, Stream::STATE), Some((3, 1)));
        assert_eq!(publish(&mut outgoing, ROOM), Some((4, 2)));
    }

    #[test]
    fn what_no_echo_confirmed_is_published_again_in_order_and_before_anything_new() {
        let mut outgoing = outgoing();
        outgoing.connect();
        publish(&mut outgoing, ROOM);
        outgoing.beat(1, Duration::ZERO);
        publish(&mut outgoing, ROOM);
        outgoing.echo(1, Duration::ZERO);
        outgoing.disconnect();
        assert_eq!(publish(&mut outgoing, ROOM), None);
        outgoing.connect();
        assert_eq!(publish(&mut outgoing, ROOM), None);
        assert_eq!(republished(&mut outgoing, 2), [2, 3]);
        assert!(!outgoing.is_current());
        assert_eq!(republished(&mut outgoing, 2), [4]);
        assert_eq!(publish(&mut outgoing, ROOM), Some((5, 4)));
    }

    #[test]
    fn bytes_bound_what_is_published_again_at_once_and_one_frame_always_goes() {
        let mut outgoing = outgoing();
        (0..3).for_each(|_| assert_eq!(publish(&mut outgoing, ROOM), None));
        outgoing.connect();
        let size = outgoing.ring.get(1).unwrap().bytes.len();
        let numbers = [1, size + 1].map(|bytes| outgoing.republish(9, bytes).len());
        assert_eq!((numbers, outgoing.is_current()), ([1, 2], true));
    }

    #[test]
    fn what_no_echo_confirmed_lasts_until_the_ring_forgets_it_and_what_was_confirmed_for_as_long_as_it_reaches() {
        let mut outgoing = outgoing();
        outgoing.connect();
        publish(&mut outgoing, ROOM);
        let (age, later) = (Retention::default().age, Duration::from_secs(100));
        assert_eq!(outgoing.lasts(later), age - later);
        outgoing.beat(1, later);
        outgoing.echo(1, later);
        assert_eq!(outgoing.lasts(later), age);
    }

    #[test]
    fn an_echo_measures_the_round_trip_to_the_bus() {
        let mut outgoing = outgoing();
        outgoing.connect();
        outgoing.beat(1, Duration::from_millis(10));
        outgoing.beat(2, Duration::from_millis(20));
        assert_eq!(outgoing.echo(2, Duration::from_millis(23)), Some(Duration::from_millis(3)));
        assert_eq!(outgoing.echo(1, Duration::from_millis(24)), None);
    }

    #[test]
    fn the_echo_of_another_connection_confirms_nothing() {
        let mut outgoing = outgoing();
        outgoing.connect();
        publish(&mut outgoing, ROOM);
        outgoing.beat(1, Duration::ZERO);
        outgoing.disconnect();
        outgoing.connect();
        outgoing.echo(1, Duration::ZERO);
        outgoing.disconnect();
        outgoing.connect();
        assert_eq!(republished(&mut outgoing, 9), [1]);
    }

    #[test]
    fn what_fell_out_of_the_ring_is_passed_over() {
        let mut outgoing = outgoing();
        (0..6).for_each(|_| assert_eq!(publish(&mut outgoing, ROOM), None));
        outgoing.connect();
        assert_eq!(republished(&mut outgoing, 9), [3, 4, 5, 6]);
        assert!(outgoing.is_current());
    }
}
