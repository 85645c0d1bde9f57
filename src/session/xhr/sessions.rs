//! The sessions of this node, and the way to those of other nodes.

use std::{
    collections::{HashMap, hash_map::Entry},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use bytes::Bytes;
use futures_util::StreamExt;
use gaung_cluster::NodeId;
use tokio::{
    sync::Semaphore,
    time::{Instant, sleep, timeout},
};

use super::{
    QUIET, XhrKey,
    shared::{Held, XhrSession},
};
use crate::{
    cluster::{Cluster, Question, Reply, XhrSend},
    outbox::closing::ClientProtocol,
    protocol::{
        Close,
        xhr::{self, InvalidSend, NOTHING_CAME},
    },
};

/// What a node answers that has taken the messages, or has given its session up.
const DONE: &[u8] = b"done";

/// What it answers while the session has no room for them.
const LATER: &[u8] = b"later";

/// How often a node asks that was told to ask later, and after which time.
const AGAIN: (usize, Duration) = (100, Duration::from_millis(300));

/// How long a node keeps another one waiting that asks for lines; who asks gives up after half a second.
const MOMENT: Duration = Duration::from_millis(300);

/// Bytes of lines that cross the bus at once, and a line more.
const MOST_LINES: usize = 65_536;

/// What became of a poll that came to another node.
pub(super) enum Polled {
    Lines(Bytes),
    /// The node of the session did not answer in time: something may be lost on its way.
    Lost,
}

/// How many requests may wait for other nodes at once: anybody may ask for sessions that nobody has.
const MAX_ASKED: usize = 256;

/// Sessions by what their paths say. Of all threads.
pub struct XhrSessions {
    sessions: Mutex<HashMap<XhrKey, Arc<XhrSession>>>,
    cluster: Option<Cluster>,
    asked: Semaphore,
}

/// Why messages are not heard.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Unsent {
    #[error(transparent)]
    Invalid(#[from] InvalidSend),
    #[error("no node has this session; open another one")]
    Unknown,
    #[error("the body has more than {limit} bytes, twice GAUNG_MAX_FRAME_BYTES and 1,024; its session is closed")]
    TooLarge { limit: usize },
    #[error("the session's messages wait longer than 30 seconds (messages_per_second); it is closed")]
    Held,
}

impl XhrSessions {
    /// No sessions yet. Those of other nodes are reached through `cluster`.
    pub fn new(cluster: Option<Cluster>) -> Arc<Self> {
        Arc::new(Self { sessions: Mutex::default(), cluster, asked: Semaphore::new(MAX_ASKED) })
    }

    /// Whether a session is on this node, or may be on another one.
    pub fn may_have(&self, key: &XhrKey) -> bool {
        self.cluster.is_some() || self.lock().contains_key(key)
    }

    pub(super) fn find(&self, key: &XhrKey) -> Option<Arc<XhrSession>> {
        self.lock().get(key).cloned()
    }

    /// Enters a session, unless there is one already.
    pub(super) fn insert(&self, key: XhrKey, session: Arc<XhrSession>) -> Result<(), Arc<XhrSession>> {
        match self.lock().entry(key) {
            Entry::Occupied(first) => Err(first.get().clone()),
            Entry::Vacant(place) => {
                place.insert(session);
                Ok(())
            }
        }
    }

    pub(super) fn remove(&self, key: &XhrKey, session: &Arc<XhrSession>) {
        let mut sessions = self.lock();
        if sessions.get(key).is_some_and(|entered| Arc::ptr_eq(entered, session)) {
            sessions.remove(key);
        }
    }

    /// Hands the messages of a request to their session, wherever it is.
    pub async fn send(&self, key: XhrKey, number: Option<u64>, body: &[u8]) -> Result<(), Unsent> {
        let messages = xhr::messages(body)?;
        if let Some(session) = self.find(&key) {
            return session.take(number, messages).await.map_err(|Held| Unsent::Held);
        }
        let body = Bytes::copy_from_slice(body);
        let question = Question::XhrSend(XhrSend { session: key.0, number, body });
        for _ in 0..AGAIN.0 {
            match self.ask(question.clone()).await.as_deref() {
                Some(DONE) => return Ok(()),
                Some(LATER) => sleep(AGAIN.1).await,
                Some(_) | None => return Err(Unsent::Unknown),
            }
        }
        Err(Unsent::Held)
    }

    /// A client has sent more than a message may have: its session ends as that of a socket would.
    pub async fn break_off(&self, key: XhrKey) {
        match self.find(&key) {
            Some(session) => ClientProtocol::Pusher.close(&session.outbox, Close::TooLarge),
            None => drop(self.ask(Question::XhrMoved(key.0)).await),
        }
    }

    /// Whether another node had a session whose next answer was asked for here. It has given it up.
    pub(super) async fn moves_here(&self, key: &XhrKey) -> bool {
        self.ask(Question::XhrMoved(key.0)).await.as_deref() == Some(DONE)
    }

    /// What another node has for the client of a session that polls here: whole lines, or that nothing came for a while.
    /// `None` if nobody has it, or it was not heard any more.
    pub(super) async fn poll_elsewhere(&self, key: &XhrKey, number: Option<u64>) -> Option<Polled> {
        let poll = |number| Question::XhrPoll(XhrSend { session: key.0, number, body: Bytes::new() });
        let (node, mut lines) = self.ask_by_name(poll(number)).await?;
        let until = Instant::now() + QUIET;
        while lines == LATER {
            if Instant::now() >= until {
                return Some(Polled::Lines(Bytes::from_static(NOTHING_CAME)));
            }
            match self.cluster.as_ref()?.ask(node, poll(None)).await {
                Some(answer) => lines = answer,
                None => return Some(Polled::Lost),
            }
        }
        Some(Polled::Lines(lines))
    }

    /// The client of a session polls another node, which waits only for a moment.
    pub fn answer_poll(&self, XhrSend { session, number, .. }: XhrSend, reply: Reply) {
        match self.find(&XhrKey(session)) {
            Some(session) => drop(tokio::spawn(async move {
                let lines = timeout(MOMENT, session.next_lines(number, MOST_LINES)).await;
                let lines = lines.ok().filter(|lines| !lines.is_empty());
                reply.send(lines.map_or(Bytes::from_static(LATER), Bytes::from));
            })),
            None => reply.nothing(),
        }
    }

    /// Another node was asked for what is this one's.
    pub fn answer_send(&self, XhrSend { session, number, body }: XhrSend, reply: Reply) {
        let (session, messages) = (self.find(&XhrKey(session)), xhr::messages(&body));
        let (Some(session), Ok(messages)) = (session, messages) else { return reply.nothing() };
        reply.send(Bytes::from_static(if session.take_at_once(number, messages) { DONE } else { LATER }));
    }

    /// The client of a session has gone to another node.
    pub fn answer_moved(&self, session: [u8; 16], reply: Reply) {
        match self.find(&XhrKey(session)) {
            Some(session) => {
                session.lose();
                reply.send(Bytes::from_static(DONE));
            }
            None => reply.nothing(),
        }
    }

    async fn ask(&self, question: Question) -> Option<Bytes> {
        self.ask_by_name(question).await.map(|(_, answer)| answer)
    }

    /// The first answer of the other nodes.
    async fn ask_by_name(&self, question: Question) -> Option<(NodeId, Bytes)> {
        let cluster = self.cluster.as_ref()?;
        let _place = self.asked.acquire().await.ok()?;
        let answers = cluster.ask_all(question).await;
        std::pin::pin!(answers).next().await
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<XhrKey, Arc<XhrSession>>> {
        self.sessions.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
