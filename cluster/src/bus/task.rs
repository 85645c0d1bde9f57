//! The bus thread's loop. It takes commands, messages, connection changes and ticks, in bounded batches, passes them to
//! the core and carries out the core's outputs. No step of it blocks.

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
    burst::{self, Burst},
    link::Command,
    loopback::{LoopbackHealth, LoopbackProbe},
    nats_client::{BATCH, BATCH_BYTES, Batch, NatsClient},
    report::Report,
    status::Gauges,
};
use crate::{
    codec::MAX_FRAME,
    core::{Core, Input, Moment, Output},
    detector::Inbound,
    subject::Subject,
};

/// The interval of ticks that the core expects.
const TICK: Duration = Duration::from_millis(50);

pub(super) struct Task<T> {
    core: Core,
    client: NatsClient,
    commands: mpsc::UnboundedReceiver<Command>,
    report: Arc<Report>,
    gauges: Arc<Gauges>,
    on_output: T,
    started: Instant,
    connection_state: Connection,
    probe: LoopbackProbe,
    lost_at: Option<Instant>,
    /// Whether an unhealthy connection was logged since the last healthy one.
    is_warned: bool,
    max_message: usize,
    closing: Option<Closing>,
}

/// The connection, as the core knows it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Connection {
    /// Not connected.
    Down,
    /// Connected, and carries messages. With the connection's number.
    Up(u64),
    /// Connected, but our own heartbeats do not come back; the core treats it as down.
    Silent(u64),
}

/// What to wait for before the end.
struct Closing {
    /// The last frame that is to be confirmed.
    goal: u64,
    deadline: Instant,
    /// Dropped at the end, which wakes the callers of `close`.
    done: Vec<oneshot::Sender<()>>,
}

impl<T: FnMut(Output)> Task<T> {
    pub(super) fn new(bus: Bus, client: Client, on_output: T) -> Self {
        let Bus { settings, commands, report, gauges } = bus;
        let mut client = NatsClient::new(client, settings.subjects, gauges.clone());
        client.subscribe(Subject::State);
        client.subscribe(Subject::Node(settings.core.node));
        Self {
            core: Core::new(settings.core),
            client,
            commands,
            report,
            gauges,
            on_output,
            started: Instant::now(),
            connection_state: Connection::Down,
            probe: LoopbackProbe::default(),
            lost_at: None,
            is_warned: false,
            max_message: MAX_FRAME,
            closing: None,
        }
    }

    /// Runs until the bus is closed.
    pub(super) async fn work(mut self) {
        let mut ticks = interval(TICK);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut batch = Batch::default();
        let mut burst = Burst::new(Instant::now());
        while !self.is_over() {
            let mut executed = 0;
            let taken = tokio::select! {
                _ = ticks.tick() => self.tick(),
                () = self.report.changed() => self.check_connection(),
                first = self.commands.recv() => {
                    executed = self.execute(first);
                    executed
                }
                () = poll_fn(|ctx| self.client.poll_messages(ctx, &mut batch)) => self.receive(&mut batch),
                () = ready(()), if self.core.is_behind() => self.continue_work(),
            };
            if taken == BATCH {
                yield_now().await;
            } else if burst.is_busy(executed, Instant::now()) {
                burst::coalesce();
            }
        }
        self.gauges.connected.store(false, Relaxed);
        self.client.close().await;
    }

    /// Executes a command and those behind it, of as many bytes as are read at once; returns how many, or [`BATCH`]
    /// where more may wait. Published state comes back to its publisher, and must not pile up meanwhile: it is read in
    /// between.
    fn execute(&mut self, first: Option<Command>) -> usize {
        if first.is_none() {
            // Every link is dropped.
            self.close(Duration::ZERO, None);
        }
        let (mut next, mut count, mut bytes) = (first, 0, 0);
        while let Some(command) = next {
            count += 1;
            bytes += self.execute_one(command);
            let is_full = count >= BATCH || bytes >= BATCH_BYTES;
            next = if is_full { None } else { self.commands.try_recv().ok() };
        }
        self.drop_ended_subscriptions();
        if bytes < BATCH_BYTES {
            return count;
        }
        let mut batch = self.client.batch();
        self.receive(&mut batch);
        BATCH
    }

    /// Carries out one order; returns the bytes of its event, if it is one.
    fn execute_one(&mut self, command: Command) -> usize {
        match command {
            Command::Event(input, permit) => {
                self.core.note_wait(permit.waited());
                self.step(input);
                return permit.bytes();
            }
            Command::Input(input) => self.step(input),
            Command::Question(question) => question(&self.core),
            Command::Close { patience, done } => self.close(patience, Some(done)),
        }
        self.gauges.waiting.fetch_sub(1, Relaxed);
        0
    }

    /// Drops subscriptions that have ended, where commands come so fast that they would pile up.
    fn drop_ended_subscriptions(&mut self) {
        for _ in 0..BATCH {
            if !self.client.has_ended_subscriptions() {
                return;
            }
            if let Some((subject, bytes)) = self.client.next_waiting() {
                self.step(Input::Received { subject, bytes });
            }
        }
    }

    /// Passes messages to the core; returns how many, or [`BATCH`] where more may wait.
    fn receive(&mut self, batch: &mut Batch) -> usize {
        let (is_full, mut count) = (batch.is_full(), 0);
        for (subject, bytes) in batch.drain() {
            self.step(Input::Received { subject, bytes });
            count += 1;
        }
        if is_full { BATCH } else { count }
    }

    /// Reads waiting messages before the tick: a waiting heartbeat must not be missed. Returns how many messages.
    fn tick(&mut self) -> usize {
        let mut batch = self.client.batch();
        let inbound = if batch.is_full() { Inbound::Waiting } else { Inbound::Drained };
        let count = self.receive(&mut batch);
        self.client.subscribe_waiting();
        self.check_connection();
        self.report.settle();
        self.learn_limit();
        self.check_loopback(inbound);
        self.step(Input::Tick(inbound));
        count
    }

    /// Continues what was too much for one step, and then lets other tasks run.
    fn continue_work(&mut self) -> usize {
        self.step(Input::Continue);
        BATCH
    }

    fn step(&mut self, input: Input) {
        for output in self.core.step(input, self.now()) {
            match output {
                Output::Publish(subject, bytes) => self.client.publish(&subject, bytes),
                Output::Subscribe(room) => self.client.subscribe(Subject::Room(room)),
                Output::Unsubscribe(room) => self.client.unsubscribe(&room),
                Output::Serving(_)
                | Output::Remote(_)
                | Output::Deliver(..)
                | Output::Store(..)
                | Output::Mark(_)
                | Output::ReadStored(..)
                | Output::Cached(..)
                | Output::CacheRepaired(..)
                | Output::CacheEvicted(..)
                | Output::Published(_)
                | Output::Post(_)
                | Output::PageTaken(_)
                | Output::Asked { .. }
                | Output::Answered { .. }
                | Output::Acknowledged(_)
                | Output::Lost { .. } => {
                    (self.on_output)(output);
                }
            }
        }
    }

    /// Tells the core about a new or lost connection. The client's events can be lost; its count of connections also
    /// reveals one that was replaced between two checks.
    fn check_connection(&mut self) -> usize {
        let connection = self.client.connection();
        let known = match self.connection_state {
            Connection::Down => None,
            Connection::Up(number) | Connection::Silent(number) => Some(number),
        };
        if connection == known {
            return 0;
        }
        self.mark_down(Connection::Down);
        if let Some(number) = connection {
            self.gauges.connections.store(number, Relaxed);
            self.probe.connect(self.now().up);
            self.mark_up(number);
        }
        0
    }

    fn mark_down(&mut self, connection_state: Connection) {
        let before = std::mem::replace(&mut self.connection_state, connection_state);
        if matches!(before, Connection::Up(_)) {
            self.step(Input::Disconnected);
        }
        if self.gauges.connected.swap(false, Relaxed) {
            tracing::warn!("lost the connection to NATS; until it is back, this node serves its own sockets only");
            self.lost_at = Some(Instant::now());
        }
    }

    fn mark_up(&mut self, number: u64) {
        if !matches!(self.connection_state, Connection::Up(_)) {
            self.connection_state = Connection::Up(number);
            self.step(Input::Connected);
        }
    }

    /// The bus counts as connected once a heartbeat of our own has come back.
    fn mark_healthy(&mut self, number: u64) {
        self.mark_up(number);
        if self.gauges.connected.swap(true, Relaxed) {
            return;
        }
        self.gauges.set_error(None);
        self.is_warned = false;
        match self.lost_at.take() {
            Some(lost_at) => tracing::info!(away_ms = millis(lost_at.elapsed()), "connected to NATS again"),
            None => tracing::info!("connected to NATS"),
        }
    }

    fn check_loopback(&mut self, inbound: Inbound) {
        let now = self.now().up;
        let health = match inbound {
            Inbound::Drained => self.probe.check(self.core.loopback_age().map(|age| now.saturating_sub(age)), now),
            // Our heartbeat may be among what waits.
            Inbound::Waiting => return,
        };
        match (self.connection_state, health) {
            (Connection::Up(number) | Connection::Silent(number), LoopbackHealth::Healthy) => self.mark_healthy(number),
            (Connection::Up(number), LoopbackHealth::Silent | LoopbackHealth::Dead) => {
                self.mark_down(Connection::Silent(number));
            }
            (Connection::Silent(_), LoopbackHealth::Dead) => self.reset_connection(),
            (Connection::Down, _) | (_, LoopbackHealth::Unknown) | (Connection::Silent(_), LoopbackHealth::Silent) => {}
        }
    }

    fn reset_connection(&mut self) {
        const WHY: &str = "NATS is connected, but this node's own heartbeats do not come back; reconnecting";
        if !std::mem::replace(&mut self.is_warned, true) {
            tracing::warn!("{WHY}");
        }
        self.gauges.set_error(Some(WHY.to_owned()));
        self.client.reconnect();
    }

    fn learn_limit(&mut self) {
        let max_message = self.client.max_message();
        self.gauges.limit(max_message);
        if max_message < MAX_FRAME && max_message != self.max_message {
            tracing::warn!(
                max_payload = max_message,
                needed = MAX_FRAME,
                "the NATS server's max_payload is too small: larger events are refused, and resends to peers may not fit"
            );
        } else if max_message >= MAX_FRAME && self.max_message < MAX_FRAME {
            tracing::info!(max_payload = max_message, "the NATS server's max_payload is large enough now");
        }
        self.max_message = max_message;
    }

    /// Prepares the end: publishes everything so far, and a heartbeat behind it.
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
