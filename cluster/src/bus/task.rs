//! The bus thread's one loop. It takes orders, messages, changes of the connection and the time, in bounded batches, gives
//! them to the core and carries out what the core wants. No step of it waits for anything.

use std::{
    future::{poll_fn, ready},
    sync::{Arc, atomic::Ordering::Relaxed},
    time::{Duration, Instant, SystemTime, UNIX_EPOCH},
};

use async_nats::Client;
use tokio::{
    sync::{mpsc, oneshot},
    task::yield_now,
    time::{MissedTickBehavior, interval},
};

use super::{
    Bus,
    canary::{Canary, Verdict},
    link::Order,
    load::{self, Load},
    report::Report,
    status::Gauges,
    wire::{BATCH, BATCH_BYTES, Batch, Wire},
};
use crate::{
    codec::MAX_FRAME,
    core::{Core, Input, Moment, Output},
    detector::Inbound,
    subject::Subject,
};

/// The distance of ticks, as the core wants it.
const TICK: Duration = Duration::from_millis(50);

/// The loop's state.
pub(super) struct Task<T> {
    core: Core,
    wire: Wire,
    orders: mpsc::UnboundedReceiver<Order>,
    report: Arc<Report>,
    gauges: Arc<Gauges>,
    tell: T,
    started: Instant,
    hearing: Hearing,
    canary: Canary,
    lost_at: Option<Instant>,
    /// Whether it was told already that a connection carries nothing, since one did.
    is_mourned: bool,
    max_message: usize,
    closing: Option<Closing>,
}

/// What the core was told of the connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Hearing {
    /// There is none.
    Away,
    /// It carries what we say. With its number.
    Open(u64),
    /// It stands, but our own beats do not come back; the core takes it for gone.
    Silent(u64),
}

/// What is awaited before the end.
struct Closing {
    /// The last frame that is to be confirmed.
    goal: u64,
    deadline: Instant,
    /// Dropped at the end, which wakes whoever closes.
    done: Vec<oneshot::Sender<()>>,
}

impl<T: FnMut(Output)> Task<T> {
    pub fn new(bus: Bus, client: Client, tell: T) -> Self {
        let Bus { settings, orders, report, gauges } = bus;
        let mut wire = Wire::new(client, settings.subjects, gauges.clone());
        wire.subscribe(Subject::State);
        wire.subscribe(Subject::Node(settings.core.node));
        Self {
            core: Core::new(settings.core),
            wire,
            orders,
            report,
            gauges,
            tell,
            started: Instant::now(),
            hearing: Hearing::Away,
            canary: Canary::default(),
            lost_at: None,
            is_mourned: false,
            max_message: MAX_FRAME,
            closing: None,
        }
    }

    /// Works until the bus is closed.
    pub async fn work(mut self) {
        let mut ticks = interval(TICK);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut heard = Batch::default();
        let mut load = Load::new(Instant::now());
        while !self.is_over() {
            let mut obeyed = 0;
            let taken = tokio::select! {
                _ = ticks.tick() => self.tick(),
                () = self.report.changed() => self.observe(),
                first = self.orders.recv() => {
                    obeyed = self.obey(first);
                    obeyed
                }
                () = poll_fn(|ctx| self.wire.poll_heard(ctx, &mut heard)) => self.receive(&mut heard),
                () = ready(()), if self.core.is_behind() => self.go_on(),
            };
            if taken == BATCH {
                yield_now().await;
            } else if load.is_busy(obeyed, Instant::now()) {
                load::gather();
            }
        }
        self.gauges.connected.store(false, Relaxed);
        self.wire.end().await;
    }

    /// Carries out an order and those behind it, of as many bytes as are heard at once; returns how many, or [`BATCH`] where
    /// more may wait. State comes back to who tells it, and must not pile up because more is told: it is heard between.
    fn obey(&mut self, first: Option<Order>) -> usize {
        if first.is_none() {
            // Nobody holds a link any longer.
            self.close(Duration::ZERO, None);
        }
        let (mut next, mut count, mut bytes) = (first, 0, 0);
        while let Some(order) = next {
            count += 1;
            bytes += self.carry_out(order);
            let is_full = count >= BATCH || bytes >= BATCH_BYTES;
            next = if is_full { None } else { self.orders.try_recv().ok() };
        }
        self.clear_away();
        if bytes < BATCH_BYTES {
            return count;
        }
        let mut heard = self.wire.heard();
        self.receive(&mut heard);
        BATCH
    }

    /// Carries out one order; returns the bytes of its event, if it is one.
    fn carry_out(&mut self, order: Order) -> usize {
        match order {
            Order::Event(input, permit) => {
                self.step(input);
                return permit.bytes();
            }
            Order::Input(input) => self.step(input),
            Order::Question(question) => question(&self.core),
            Order::Close { patience, done } => self.close(patience, Some(done)),
        }
        self.gauges.waiting.fetch_sub(1, Relaxed);
        0
    }

    /// Lets go of subscriptions that have ended, where orders come so fast that they would pile up.
    fn clear_away(&mut self) {
        for _ in 0..BATCH {
            if !self.wire.is_littered() {
                return;
            }
            if let Some((subject, bytes)) = self.wire.next_waiting() {
                self.step(Input::Received { subject, bytes });
            }
        }
    }

    /// Gives messages to the core; returns how many, or [`BATCH`] where more may wait.
    fn receive(&mut self, heard: &mut Batch) -> usize {
        let (is_full, mut count) = (heard.is_full(), 0);
        for (subject, bytes) in heard.drain() {
            self.step(Input::Received { subject, bytes });
            count += 1;
        }
        if is_full { BATCH } else { count }
    }

    /// Hears what waits before it tells of the time: a beat that waits must not be missed. Returns how many messages.
    fn tick(&mut self) -> usize {
        let mut heard = self.wire.heard();
        let inbound = if heard.is_full() { Inbound::Waiting } else { Inbound::Drained };
        let count = self.receive(&mut heard);
        self.wire.subscribe_waiting();
        self.observe();
        self.learn_limit();
        self.listen_to_canary(inbound);
        self.step(Input::Tick(inbound));
        count
    }

    /// Does a part of what was too much for one step, before everybody else has a turn.
    fn go_on(&mut self) -> usize {
        self.step(Input::GoOn);
        BATCH
    }

    fn step(&mut self, input: Input) {
        for output in self.core.step(input, self.now()) {
            match output {
                Output::Publish(subject, bytes) => self.wire.publish(&subject, bytes),
                Output::Subscribe(room) => self.wire.subscribe(Subject::Room(room)),
                Output::Unsubscribe(room) => self.wire.unsubscribe(&room),
                Output::Serving(_)
                | Output::Remote(_)
                | Output::Deliver(..)
                | Output::Cached(..)
                | Output::CacheRepaired(..)
                | Output::CacheEvicted(..)
                | Output::Published(_)
                | Output::Post(_)
                | Output::Lost { .. } => {
                    (self.tell)(output);
                }
            }
        }
    }

    /// Tells the core of a connection that came or went. The client's events can be lost; its count of connections tells
    /// also of one that was replaced between two looks.
    fn observe(&mut self) -> usize {
        let connection = self.wire.connection();
        let known = match self.hearing {
            Hearing::Away => None,
            Hearing::Open(number) | Hearing::Silent(number) => Some(number),
        };
        if connection == known {
            return 0;
        }
        self.lose(Hearing::Away);
        if let Some(number) = connection {
            self.gauges.connections.store(number, Relaxed);
            self.canary.connect(self.now().up);
            self.find(number);
        }
        0
    }

    fn lose(&mut self, hearing: Hearing) {
        let before = std::mem::replace(&mut self.hearing, hearing);
        if matches!(before, Hearing::Open(_)) {
            self.step(Input::Disconnected);
        }
        if self.gauges.connected.swap(false, Relaxed) {
            tracing::warn!("lost the bus: sockets of this node are served alone until it is back");
            self.lost_at = Some(Instant::now());
        }
    }

    fn find(&mut self, number: u64) {
        if !matches!(self.hearing, Hearing::Open(_)) {
            self.hearing = Hearing::Open(number);
            self.step(Input::Connected);
        }
    }

    /// The bus is there once a beat of our own has come back.
    fn welcome(&mut self, number: u64) {
        self.find(number);
        if self.gauges.connected.swap(true, Relaxed) {
            return;
        }
        self.gauges.set_error(None);
        self.is_mourned = false;
        match self.lost_at.take() {
            Some(lost_at) => tracing::info!(away_ms = millis(lost_at.elapsed()), "the bus is back"),
            None => tracing::info!("the bus is there"),
        }
    }

    fn listen_to_canary(&mut self, inbound: Inbound) {
        let now = self.now().up;
        let verdict = match inbound {
            Inbound::Drained => self.canary.look(self.core.loopback_age().map(|age| now.saturating_sub(age)), now),
            // Our beat may be among what waits.
            Inbound::Waiting => return,
        };
        match (self.hearing, verdict) {
            (Hearing::Open(number) | Hearing::Silent(number), Verdict::Sings) => self.welcome(number),
            (Hearing::Open(number), Verdict::Silent | Verdict::Dead) => self.lose(Hearing::Silent(number)),
            (Hearing::Silent(_), Verdict::Dead) => self.bury_connection(),
            (Hearing::Away, _) | (_, Verdict::Unknown) | (Hearing::Silent(_), Verdict::Silent) => {}
        }
    }

    fn bury_connection(&mut self) {
        const WHY: &str = "NATS is connected, but our own beats do not come back; connecting anew";
        if !std::mem::replace(&mut self.is_mourned, true) {
            tracing::warn!("{WHY}");
        }
        self.gauges.set_error(Some(WHY.to_owned()));
        self.wire.reconnect();
    }

    fn learn_limit(&mut self) {
        let max_message = self.wire.max_message();
        self.gauges.limit(max_message);
        if max_message < MAX_FRAME && max_message != self.max_message {
            tracing::warn!(
                max_payload = max_message,
                needed = MAX_FRAME,
                "the NATS server's max_payload is small: larger events are refused, and what peers ask for may not fit"
            );
        }
        self.max_message = max_message;
    }

    /// Prepares the end: everything that was told so far goes out, and a beat behind it.
    fn close(&mut self, patience: Duration, done: Option<oneshot::Sender<()>>) {
        self.step(Input::Confirm);
        let mut waiting = self.closing.take().map_or_else(Vec::new, |closing| closing.done);
        waiting.extend(done);
        let deadline = Instant::now() + patience;
        self.closing = Some(Closing { goal: self.core.published(), deadline, done: waiting });
    }

    fn is_over(&self) -> bool {
        let is_done = |closing: &Closing| self.core.confirmed() >= closing.goal || Instant::now() >= closing.deadline;
        self.closing.as_ref().is_some_and(is_done)
    }

    fn now(&self) -> Moment {
        let wall = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        Moment { up: self.started.elapsed(), wall }
    }
}

fn millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}
