//! The task that stores what this node put out, in its order, and sends again what the stream did not acknowledge.

use std::{
    future::pending,
    pin::Pin,
    sync::Arc,
    time::{Duration, Instant},
};

use async_nats::jetstream::{
    Context,
    context::{ContextBuilder, PublishError, PublishErrorKind},
    message::PublishMessage,
};
use bytes::Bytes;
use futures_util::{StreamExt, stream::FuturesUnordered};
use tokio::{
    sync::{mpsc, oneshot},
    time::sleep,
};

use super::{
    backlog::{Backlog, Item, UnstoredEvent},
    reader::Reader,
    settings::HistorySettings,
    setup::{StreamError, StreamSpec},
    status::Gauges,
};
use crate::{
    bus::{InvalidServer, connect},
    jetstream::{REQUEST_TIMEOUT, connected},
    subject::Subjects,
};

/// The pause after something failed.
const PAUSE: Duration = Duration::from_secs(1);

/// The stream's background task, to be run on a thread with a tokio runtime.
pub struct Worker {
    settings: HistorySettings,
    commands: mpsc::UnboundedReceiver<Command>,
    reader: Arc<Reader>,
    gauges: Gauges,
}

/// What a [`super::HistoryStream`] asks for.
#[derive(Debug)]
pub(super) enum Command {
    Store(UnstoredEvent),
    Mark(u64),
    Close(oneshot::Sender<()>),
}

type Preparation = Pin<Box<dyn Future<Output = Result<(), StreamError>> + Send>>;
type Sending = Pin<Box<dyn Future<Output = (Item, Result<(), PublishError>)> + Send>>;

/// The worker while it runs.
struct RunningWorker {
    context: Context,
    node: String,
    subjects: Subjects,
    spec: StreamSpec,
    gauges: Gauges,
    backlog: Backlog,
    sending: FuturesUnordered<Sending>,
    /// Nothing is sent before the stream is known to be what it must be.
    preparation: Option<Preparation>,
    /// The highest number that this node was heard to use.
    last: u64,
    closed: Option<oneshot::Sender<()>>,
}

impl Worker {
    pub(super) fn new(
        settings: HistorySettings,
        commands: mpsc::UnboundedReceiver<Command>,
        reader: Arc<Reader>,
        gauges: Gauges,
    ) -> Self {
        Self { settings, commands, reader, gauges }
    }

    /// Runs until [`super::HistoryStream::close`], or until every [`super::HistoryStream`] is dropped. Needs a tokio
    /// runtime with time and I/O. Fails at once on an invalid server address.
    pub async fn run(mut self) -> Result<(), InvalidServer> {
        let client = connect(&self.settings.bus, "history").await?;
        let context = ContextBuilder::new().timeout(REQUEST_TIMEOUT).build(client);
        self.reader.connect(context.clone());
        let mut work = RunningWorker::new(&self.settings, context, self.gauges);
        while !work.is_over() {
            work.send().await;
            tokio::select! {
                command = self.commands.recv() => match command {
                    Some(command) => work.execute(command),
                    None => break,
                },
                Some((item, result)) = work.sending.next() => work.conclude(item, result),
                result = prepared(&mut work.preparation) => work.be_prepared(result),
            }
        }
        work.end();
        Ok(())
    }
}

impl RunningWorker {
    fn new(settings: &HistorySettings, context: Context, gauges: Gauges) -> Self {
        let mut work = Self {
            context,
            node: settings.bus.core.node.to_string(),
            subjects: settings.bus.subjects.clone(),
            spec: StreamSpec::new(settings),
            gauges,
            backlog: Backlog::new(settings.max_waiting_bytes),
            sending: FuturesUnordered::new(),
            preparation: None,
            last: 0,
            closed: None,
        };
        work.prepare_after(Duration::ZERO);
        work
    }

    fn execute(&mut self, command: Command) {
        match command {
            Command::Store(event) => {
                self.last = self.last.max(event.number);
                let dropped = self.backlog.push(event);
                if dropped > 0 {
                    self.gauges.dropped(dropped);
                }
            }
            Command::Mark(number) => {
                self.last = self.last.max(number);
                self.backlog.mark(number, Instant::now());
            }
            Command::Close(done) => {
                self.backlog.mark(self.last, Instant::now());
                self.closed = Some(done);
            }
        }
        self.gauges.set_waiting(self.backlog.len());
    }

    fn prepare_after(&mut self, pause: Duration) {
        let (context, spec) = (self.context.clone(), self.spec.clone());
        self.preparation = Some(Box::pin(async move {
            sleep(pause).await;
            connected(&context).await;
            spec.prepare(context).await
        }));
    }

    fn be_prepared(&mut self, result: Result<(), StreamError>) {
        self.preparation = None;
        match result {
            Ok(()) => self.gauges.health.worked(),
            Err(error) => self.fail(&error),
        }
    }

    fn fail(&mut self, error: &impl std::fmt::Display) {
        self.gauges.health.failed(error);
        if self.preparation.is_none() {
            self.prepare_after(PAUSE);
        }
    }

    /// Sends what may be sent, in order. Waits for nothing but room in the client's queue.
    async fn send(&mut self) {
        while self.preparation.is_none()
            && let Some(item) = self.backlog.pop()
        {
            let (subject, payload) = self.written(&item);
            let message = PublishMessage::build().payload(payload).expected_stream(&self.spec.name);
            let sent = self.context.send_publish(subject, message).await;
            self.sending.push(Box::pin(async move {
                let result = match sent {
                    Ok(acknowledgement) => acknowledgement.await.map(drop),
                    Err(error) => Err(error),
                };
                (item, result)
            }));
        }
    }

    fn written(&self, item: &Item) -> (String, Bytes) {
        match item {
            Item::Event(event) => (self.subjects.stored_events(&event.room), event.bytes.clone()),
            Item::Mark(number, since) => {
                let mark = self.backlog.written_mark(*number, *since, Instant::now());
                (self.subjects.marks(&self.node), mark.write())
            }
        }
    }

    fn conclude(&mut self, item: Item, result: Result<(), PublishError>) {
        match (item, result) {
            (item, Ok(())) => {
                self.backlog.stored(&item);
                if matches!(item, Item::Event(_)) {
                    self.gauges.stored();
                }
            }
            (Item::Event(event), Err(error)) if error.kind() == PublishErrorKind::MaxPayloadExceeded => {
                self.gauges.dropped(1);
                self.backlog.refused(event);
            }
            (item, Err(error)) => {
                self.backlog.unsent(item);
                self.fail(&error);
            }
        }
        self.gauges.set_waiting(self.backlog.len());
    }

    fn is_over(&self) -> bool {
        self.closed.is_some() && self.backlog.is_empty()
    }

    fn end(self) {
        if let Some(closed) = self.closed {
            // The caller may have stopped waiting.
            let _ = closed.send(());
        }
    }
}

/// The outcome of the preparation, if there is one.
async fn prepared(preparation: &mut Option<Preparation>) -> Result<(), StreamError> {
    match preparation {
        Some(preparation) => preparation.await,
        None => pending().await,
    }
}
