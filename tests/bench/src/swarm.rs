//! The client: thousands of listening sockets and some that trigger, on one thread and one poll.

use std::{
    io::ErrorKind,
    net::SocketAddr,
    time::{Duration, Instant},
};

use mio::{Events, Interest, Poll, Token};

use super::{
    BenchError,
    publisher::Publisher,
    round::{Round, Sample, measure, micros},
    seat::Seat,
    subscriber::Subscriber,
    tally::Tally,
    target::Dialect,
    target::Target,
};

/// Without any event for so long, a measurement has failed.
const PATIENCE: Duration = Duration::from_secs(20);
/// Connections that are being opened at one time; well below the listener's backlog.
const OPENING: usize = 64;
/// The same where they come at a pace of their own, whatever the server does.
const OPENING_AT_A_PACE: usize = 512;
/// Tokens from here on are publishers.
const FIRST_PUBLISHER: usize = 1 << 24;
/// Larger than all that one read brings in practice, and than any frame: the members of case i come in one.
const SCRATCH_BYTES: usize = 2 * 1024 * 1024;

/// When sockets come.
#[derive(Debug, Clone, Copy)]
enum Arrival {
    /// Each as soon as another one is subscribed, [`OPENING`] at a time.
    InTurn,
    /// Each so long after the one before it.
    Every { next: Instant, pause: Duration },
}

impl Arrival {
    /// When the next socket comes.
    fn due(self) -> Instant {
        match self {
            Arrival::InTurn => Instant::now(),
            Arrival::Every { next, .. } => next,
        }
    }

    /// It has come.
    fn pass(&mut self) {
        if let Arrival::Every { next, pause } = self {
            *next += *pause;
        }
    }

    /// How many are being opened at one time at most.
    fn opening(self) -> usize {
        match self {
            Arrival::InTurn => OPENING,
            Arrival::Every { .. } => OPENING_AT_A_PACE,
        }
    }
}

/// All connections to one target, or to several that are one cluster.
pub struct Swarm<'t> {
    target: &'t Target,
    poll: Poll,
    subscribers: Vec<Subscriber<'t>>,
    publishers: Vec<Publisher>,
    scratch: Vec<u8>,
}

impl<'t> Swarm<'t> {
    /// No connection yet.
    pub fn new(target: &'t Target) -> Result<Self, BenchError> {
        let poll = Poll::new().map_err(|error| BenchError::io("opening a poll", error))?;
        Ok(Self { target, poll, subscribers: Vec::new(), publishers: Vec::new(), scratch: vec![0; SCRATCH_BYTES] })
    }

    /// Opens `count` sockets and subscribes them, going round `channels` channels. The latency of each is the time from
    /// its connect to its subscription.
    pub fn connect(&mut self, count: u32, channels: u32) -> Result<Sample, BenchError> {
        let (first, target) = (self.subscribers.len() as u32, self.target);
        self.seat((first..first + count).map(|number| (target, Seat::Channel(number % channels))))
    }

    /// Opens a socket for each seat, on the target beside it, and subscribes it.
    pub fn seat(&mut self, seats: impl ExactSizeIterator<Item = (&'t Target, Seat)>) -> Result<Sample, BenchError> {
        self.seat_at(Arrival::InTurn, seats)
    }

    /// The same, evenly over some time. The latency of each is counted from when it is to come, so that a server that
    /// keeps others waiting does not hide it.
    pub fn seat_within(
        &mut self,
        time: Duration,
        seats: impl ExactSizeIterator<Item = (&'t Target, Seat)>,
    ) -> Result<Sample, BenchError> {
        let pause = time / seats.len().max(1) as u32;
        self.seat_at(Arrival::Every { next: Instant::now(), pause }, seats)
    }

    fn seat_at(
        &mut self,
        mut arrival: Arrival,
        mut seats: impl ExactSizeIterator<Item = (&'t Target, Seat)>,
    ) -> Result<Sample, BenchError> {
        let count = seats.len();
        let mut latencies = Vec::with_capacity(count);
        let mut events = Events::with_capacity(1024);
        while latencies.len() < count {
            match self.open_due(&mut arrival, &mut seats, count - latencies.len())? {
                Some(pause) => self.poll(&mut events, pause)?,
                None => self.wait(&mut events, "subscriptions", latencies.len() as u64, count as u64)?,
            }
            for token in events.iter().map(mio::event::Event::token) {
                let subscriber = &mut self.subscribers[token.0];
                let was_ready = subscriber.is_ready();
                subscriber.receive(&mut self.scratch, |_| ())?;
                if !was_ready && subscriber.is_ready() {
                    latencies.push(micros(subscriber.opened().elapsed()));
                }
            }
        }
        Ok(Sample { count: count as u64, latencies })
    }

    /// Opens those that have come, as far as there is place, where so many are not subscribed yet. Returns after how long
    /// the next comes, if that is what is to be waited for.
    fn open_due(
        &mut self,
        arrival: &mut Arrival,
        seats: &mut impl ExactSizeIterator<Item = (&'t Target, Seat)>,
        missing: usize,
    ) -> Result<Option<Duration>, BenchError> {
        while missing - seats.len() < arrival.opening() && seats.len() > 0 {
            let due = arrival.due();
            let pause = due.saturating_duration_since(Instant::now());
            if !pause.is_zero() {
                return Ok(Some(pause));
            }
            if let Some((target, seat)) = seats.next() {
                self.open(target, seat, due)?;
            }
            arrival.pass();
        }
        Ok(None)
    }

    fn open(&mut self, target: &'t Target, seat: Seat, due: Instant) -> Result<(), BenchError> {
        let token = Token(self.subscribers.len());
        let mut subscriber = Subscriber::open(target, seat, token.0, due)
            .map_err(|error| BenchError::io("connecting a socket", error))?;
        let registered = self.poll.registry().register(&mut subscriber.stream, token, Interest::READABLE);
        registered.map_err(|error| BenchError::io("registering a socket", error))?;
        self.subscribers.push(subscriber);
        Ok(())
    }

    /// Opens `count` connections for triggers or, to the admin port, for other requests, and closes those of before: a
    /// server may have dropped them meanwhile.
    pub fn open_publishers(&mut self, count: usize, address: SocketAddr) -> Result<(), BenchError> {
        self.publishers.clear();
        for number in 0..count {
            let mut publisher = Publisher::open(self.target, address, FIRST_PUBLISHER + number)?;
            let token = Token(FIRST_PUBLISHER + number);
            let registered = self.poll.registry().register(&mut publisher.stream, token, Interest::READABLE);
            registered.map_err(|error| BenchError::io("registering a connection", error))?;
            self.publishers.push(publisher);
        }
        Ok(())
    }

    /// How many have come back with a ticket of TLS.
    pub fn resumed(&self) -> usize {
        self.subscribers.iter().filter(|subscriber| subscriber.stream.is_resumed()).count()
    }

    /// Takes out the socket that was opened last; nobody reads from it any more.
    pub fn abandon_last(&mut self) -> Option<Subscriber<'t>> {
        let mut subscriber = self.subscribers.pop()?;
        // Fails only for a socket that is not registered.
        let _ = self.poll.registry().deregister(&mut subscriber.stream);
        Some(subscriber)
    }

    /// Sends the triggers, one per publisher at a time, each as soon as one before it has reached all its `readers`; a
    /// latency is the time from sending a trigger to reading its event.
    pub fn fan_out(&mut self, triggers: &[Vec<u8>], readers: u32) -> Result<Sample, BenchError> {
        let mut tally = Tally::new(triggers.len(), readers);
        let mut events = Events::with_capacity(1024);
        while tally.complete() < triggers.len() || self.publishers.iter().any(|publisher| !publisher.is_free()) {
            self.send(triggers, &mut tally)?;
            self.wait(&mut events, "deliveries", tally.deliveries(), tally.expected())?;
            for token in events.iter().map(mio::event::Event::token) {
                match token.0.checked_sub(FIRST_PUBLISHER) {
                    Some(number) => drop(self.publishers[number].receive(&mut self.scratch)?),
                    None => {
                        let now = Instant::now();
                        let subscriber = &mut self.subscribers[token.0];
                        subscriber.receive(&mut self.scratch, |payload| tally.delivered(payload, now))?;
                    }
                }
            }
        }
        Ok(tally.into_sample())
    }

    fn send(&mut self, triggers: &[Vec<u8>], tally: &mut Tally) -> Result<(), BenchError> {
        let in_flight = self.publishers.len();
        let next_free = self.publishers.iter_mut().filter(|publisher| publisher.is_free());
        for publisher in next_free {
            let sent = tally.sent();
            let Some(trigger) = triggers.get(sent).filter(|_| sent - tally.complete() < in_flight) else {
                return Ok(());
            };
            tally.send(Instant::now());
            match self.target.dialect {
                Dialect::Pusher { .. } => publisher.ask(trigger)?,
                Dialect::Ready => publisher.tell(trigger)?,
            }
        }
        Ok(())
    }

    /// Sends the requests, one per publisher at a time, each as soon as an answer has come; a latency is the time from a
    /// request to its answer.
    pub fn ask(&mut self, requests: &[Vec<u8>]) -> Result<Sample, BenchError> {
        let mut waiting = requests.iter();
        let mut asked_at = vec![Instant::now(); self.publishers.len()];
        let mut latencies = Vec::with_capacity(requests.len());
        let mut events = Events::with_capacity(1024);
        for (publisher, request) in self.publishers.iter_mut().zip(&mut waiting) {
            publisher.ask(request)?;
        }
        while latencies.len() < requests.len() {
            self.wait(&mut events, "answers", latencies.len() as u64, requests.len() as u64)?;
            // A subscriber may be pinged meanwhile; its next fan-out reads that.
            for number in events.iter().filter_map(|event| event.token().0.checked_sub(FIRST_PUBLISHER)) {
                let publisher = &mut self.publishers[number];
                if !publisher.receive(&mut self.scratch)? {
                    continue;
                }
                latencies.push(micros(asked_at[number].elapsed()));
                if let Some(request) = waiting.next() {
                    asked_at[number] = Instant::now();
                    publisher.ask(request)?;
                }
            }
        }
        Ok(Sample { count: requests.len() as u64, latencies })
    }

    /// Waits for sockets that can be read. What is waited for stands in the error.
    fn wait(
        &mut self,
        events: &mut Events,
        waiting_for: &'static str,
        done: u64,
        expected: u64,
    ) -> Result<(), BenchError> {
        self.poll(events, PATIENCE)?;
        if events.is_empty() {
            return Err(BenchError::Silent { waiting_for, done, expected, patience: PATIENCE });
        }
        Ok(())
    }

    /// Waits for so long at most.
    fn poll(&mut self, events: &mut Events, time: Duration) -> Result<(), BenchError> {
        loop {
            match self.poll.poll(events, Some(time)) {
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                result => return result.map_err(|error| BenchError::io("waiting for sockets", error)),
            }
        }
    }
}

/// Sends requests over so many connections to the target and measures it.
pub fn ask(
    target: &Target,
    address: SocketAddr,
    connections: usize,
    requests: &[Vec<u8>],
) -> Result<Round, BenchError> {
    let mut swarm = Swarm::new(target)?;
    swarm.open_publishers(connections, address)?;
    measure(target.pid, || swarm.ask(requests))
}

#[cfg(test)]
mod tests {
    use std::{
        io::{Read, Write},
        net::TcpListener,
        thread,
    };

    use super::*;
    use crate::{floor, handshake, plan::EVENT_BYTES, seat::Seat};
    use gaung::protocol::{AppKey, Secret, frame};

    fn fanned_out_by_the_floor(sockets: u32, channels: u32, in_flight: usize, triggers: u32) -> Sample {
        let (public, admin) = floor::spawn();
        let target = Target::new(std::process::id(), public, admin, Dialect::Ready);
        let mut swarm = Swarm::new(&target).unwrap();
        assert_eq!(swarm.connect(sockets, channels).unwrap().latencies.len(), sockets as usize);
        swarm.open_publishers(in_flight, target.trigger_address()).unwrap();
        swarm.fan_out(&target.triggers(triggers, channels, EVENT_BYTES), sockets / channels).unwrap()
    }

    #[test]
    fn every_event_reaches_every_socket_of_its_channel() {
        assert_eq!(fanned_out_by_the_floor(100, 1, 1, 10).count, 1_000);
        assert_eq!(fanned_out_by_the_floor(100, 1, 16, 40).count, 4_000);
        assert_eq!(fanned_out_by_the_floor(100, 10, 16, 40).count, 400);
    }

    #[test]
    fn sockets_that_come_at_a_pace_are_opened_when_they_are_due_and_measured_from_then() {
        let (public, admin) = floor::spawn();
        let target = Target::new(std::process::id(), public, admin, Dialect::Ready);
        let mut swarm = Swarm::new(&target).unwrap();
        let start = Instant::now();
        let seats: Vec<_> = (0..20).map(|number| (&target, Seat::Channel(number))).collect();
        let sample = swarm.seat_within(Duration::from_millis(200), seats.into_iter()).unwrap();
        assert_eq!(sample.latencies.len(), 20);
        let opened: Vec<_> = swarm.subscribers.iter().map(|subscriber| subscriber.opened() - start).collect();
        assert!(opened.windows(2).all(|pair| pair[1] - pair[0] == Duration::from_millis(10)), "{opened:?}");
    }

    const GREETING: &str = r#"{"event":"pusher:connection_established","data":"{}"}"#;

    /// A server of the Pusher protocol that admits one socket, in the smallest pieces.
    fn scripted_server() -> SocketAddr {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        thread::spawn(move || {
            let (mut stream, _) = listener.accept().unwrap();
            stream.set_nodelay(true).unwrap();
            let established = frame::text(GREETING);
            let greeting = [b"HTTP/1.1 101 Switching Protocols\r\n\r\n", &established[..]].concat();
            greeting.chunks(1).for_each(|byte| stream.write_all(byte).unwrap());
            let opening =
                [handshake::upgrade(address, "k", ""), pusher(address).subscribe(Seat::Channel(0), GREETING).unwrap()];
            let mut subscribe = vec![0; opening.concat().len()];
            stream.read_exact(&mut subscribe).unwrap();
            let succeeded = frame::text(r#"{"event":"pusher_internal:subscription_succeeded","data":"{}"}"#);
            stream.write_all(&succeeded).unwrap();
            // Until the client has gone.
            stream.read(&mut [0]).unwrap_or_default();
        });
        address
    }

    fn pusher(address: SocketAddr) -> Target {
        let key = AppKey { key: "k".into(), secret: Secret::new("s") };
        let dialect = Dialect::Pusher { app_id: "a".into(), key };
        Target::new(std::process::id(), address, address, dialect)
    }

    #[test]
    fn a_pusher_socket_is_subscribed_after_greeting_and_success() {
        let target = pusher(scripted_server());
        let mut swarm = Swarm::new(&target).unwrap();
        assert_eq!(swarm.connect(1, 1).unwrap().latencies.len(), 1);
        assert!(swarm.subscribers[0].is_ready());
    }

    fn asked_of_a_server_that_answers(answer: &'static str) -> Result<Sample, BenchError> {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let target = pusher(listener.local_addr().unwrap());
        thread::spawn(move || {
            let (mut stream, _) = listener.accept().unwrap();
            while stream.read(&mut [0; 4096]).is_ok_and(|count| count > 0) {
                stream.write_all(answer.as_bytes()).unwrap();
            }
        });
        let mut swarm = Swarm::new(&target).unwrap();
        swarm.open_publishers(1, target.admin).unwrap();
        swarm.ask(&target.noops(3, 10))
    }

    #[test]
    fn every_request_gets_its_answer() {
        let sample = asked_of_a_server_that_answers("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}").unwrap();
        assert_eq!(sample.latencies.len(), 3);
    }

    #[test]
    fn a_refused_request_ends_the_measurement_with_its_name_and_status() {
        let error = asked_of_a_server_that_answers("HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n").unwrap_err();
        assert_eq!(error.to_string(), "POST /noop was answered with 404 instead of 200");
    }
}
