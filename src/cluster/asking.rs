//! Questions to single nodes, and their answers. A node that does not answer in time has nothing to say: the asker goes
//! on without it.

use std::{
    collections::HashMap,
    sync::{
        Mutex, PoisonError,
        atomic::{AtomicU64, Ordering::Relaxed},
    },
    time::Duration,
};

use bytes::Bytes;
use futures_util::{Stream, StreamExt, stream::FuturesUnordered};
use gaung_cluster::{
    NodeId,
    bus::Link,
    core::{Core, Input},
};
use tokio::{sync::oneshot, time::timeout};

use super::{Cluster, question::Question};

/// How long an answer is awaited; it usually takes less than ten milliseconds.
const PATIENCE: Duration = Duration::from_millis(500);

/// Questions of this node that wait for their answer at most. Who asks more is answered with nothing at once.
const MAX_OUTSTANDING: usize = 4096;

/// The questions of this node that wait for their answer.
#[derive(Debug, Default)]
pub(super) struct Outstanding {
    last: AtomicU64,
    awaited: Mutex<HashMap<u64, Awaited>>,
}

#[derive(Debug)]
struct Awaited {
    from: NodeId,
    answer: oneshot::Sender<Bytes>,
}

/// A place among the questions that wait.
struct Place<'a> {
    outstanding: &'a Outstanding,
    number: u64,
}

/// How a question of another node is answered: once, at any time; after half a second nobody listens any more.
#[derive(Debug)]
#[must_use = "the other node waits for it"]
pub struct Reply {
    link: Link,
    to: NodeId,
    number: u64,
}

impl Cluster {
    /// Asks a node; `None` if it does not answer within half a second, has nothing to say, or cannot be asked: it is not
    /// known to live, its release answers no questions, or too many questions of this node wait already.
    pub async fn ask(&self, node: NodeId, question: Question) -> Option<Bytes> {
        self.ask_encoded(node, question.encode()).await
    }

    /// Asks all live peers. Their answers come one by one, within half a second; of those that have nothing to say, none.
    pub async fn ask_all(&self, question: Question) -> impl Stream<Item = (NodeId, Bytes)> {
        let (peers, question) = (self.peers().await, question.encode());
        let answers: FuturesUnordered<_> =
            peers.into_iter().map(|node| self.ask_with_name(node, question.clone())).collect();
        answers.filter_map(std::future::ready)
    }

    /// The live peers that can be asked.
    pub async fn peers(&self) -> Vec<NodeId> {
        let peers = self.link.ask(|core: &Core| core.peers_to_ask().collect::<Vec<_>>());
        timeout(PATIENCE, peers).await.ok().flatten().unwrap_or_default()
    }

    /// A node has answered a question of this one.
    pub fn take_answer(&self, from: NodeId, number: u64, answer: Bytes) {
        self.outstanding.take(from, number, answer);
    }

    /// The way to answer a question of another node.
    pub fn reply(&self, to: NodeId, number: u64) -> Reply {
        Reply { link: self.link.clone(), to, number }
    }

    async fn ask_with_name(&self, node: NodeId, question: Bytes) -> Option<(NodeId, Bytes)> {
        Some((node, self.ask_encoded(node, question).await?))
    }

    async fn ask_encoded(&self, node: NodeId, question: Bytes) -> Option<Bytes> {
        let (place, answer) = self.outstanding.open(node)?;
        self.link.send(Input::Ask { to: node, number: place.number, question });
        let answer = timeout(PATIENCE, answer).await.ok()?.ok()?;
        (!answer.is_empty()).then_some(answer)
    }
}

impl Outstanding {
    /// A place for one more question; `None` if too many wait.
    fn open(&self, from: NodeId) -> Option<(Place<'_>, oneshot::Receiver<Bytes>)> {
        let (answer, answered) = oneshot::channel();
        let number = self.last.fetch_add(1, Relaxed) + 1;
        let mut awaited = self.awaited.lock().unwrap_or_else(PoisonError::into_inner);
        if awaited.len() >= MAX_OUTSTANDING {
            return None;
        }
        awaited.insert(number, Awaited { from, answer });
        Some((Place { outstanding: self, number }, answered))
    }

    /// Only the node that was asked may answer.
    fn take(&self, from: NodeId, number: u64, answer: Bytes) {
        let mut awaited = self.awaited.lock().unwrap_or_else(PoisonError::into_inner);
        if awaited.get(&number).is_some_and(|awaited| awaited.from == from)
            && let Some(awaited) = awaited.remove(&number)
        {
            let _ = awaited.answer.send(answer);
        }
    }
}

impl Drop for Place<'_> {
    fn drop(&mut self) {
        self.outstanding.awaited.lock().unwrap_or_else(PoisonError::into_inner).remove(&self.number);
    }
}

impl Reply {
    /// Answers.
    pub fn send(self, answer: Bytes) {
        self.link.send(Input::Answer { to: self.to, number: self.number, answer });
    }

    /// There is nothing to say.
    pub fn nothing(self) {
        self.send(Bytes::new());
    }
}

#[cfg(test)]
mod tests {
    use futures_util::future::join;
    use gaung_cluster::bus::Bus;

    use super::*;
    use crate::config;

    const NODE: NodeId = NodeId::from_bits(2);
    const OTHER: NodeId = NodeId::from_bits(3);

    #[test]
    fn an_answer_comes_from_the_node_that_was_asked_and_once() {
        let outstanding = Outstanding::default();
        let (place, mut answer) = outstanding.open(NODE).unwrap();
        outstanding.take(OTHER, place.number, "forged".into());
        outstanding.take(NODE, place.number + 1, "another".into());
        assert!(answer.try_recv().is_err());
        outstanding.take(NODE, place.number, "answer".into());
        outstanding.take(NODE, place.number, "again".into());
        assert_eq!(answer.try_recv().unwrap(), "answer");
    }

    fn cluster() -> (Cluster, Bus) {
        let variables = [
            ("GAUNG_NATS_URL", "nats://127.0.0.1:4222"),
            ("GAUNG_APP_ID", "app"),
            ("GAUNG_APP_KEY", "key"),
            ("GAUNG_APP_SECRET", "secret"),
        ];
        let loaded = config::load(variables.map(|(name, value)| (name.to_owned(), value.to_owned()))).unwrap();
        Cluster::open(&loaded.config.cluster.unwrap(), 1).unwrap()
    }

    /// The answer to a question, if the node says this in reply; its bus is only looked at.
    async fn ask(answers: impl Fn(&Cluster, u64)) -> Option<Bytes> {
        let (cluster, mut bus) = cluster();
        let question = Question::Page(gaung_cluster::page::PageHash([7; 16]));
        let peer = async {
            let Some(Input::Ask { to: NODE, number, .. }) = bus.next_input() else { panic!("nobody was asked") };
            answers(&cluster, number);
        };
        let (answer, ()) = join(cluster.ask(NODE, question), peer).await;
        assert!(cluster.outstanding.awaited.lock().unwrap().is_empty());
        answer
    }

    #[tokio::test(start_paused = true)]
    async fn a_question_is_answered_by_its_node_or_after_half_a_second_by_nobody() {
        assert_eq!(ask(|cluster, number| cluster.take_answer(NODE, number, "answer".into())).await.unwrap(), "answer");
        assert_eq!(ask(|cluster, number| cluster.take_answer(NODE, number, Bytes::new())).await, None);
        let asked = tokio::time::Instant::now();
        assert_eq!(ask(|_, _| {}).await, None);
        assert_eq!(asked.elapsed(), PATIENCE);
    }

    #[test]
    fn questions_that_nobody_awaits_any_more_leave_room_for_others() {
        let outstanding = Outstanding::default();
        let mut places: Vec<_> = (0..MAX_OUTSTANDING).map(|_| outstanding.open(NODE).unwrap()).collect();
        assert!(outstanding.open(NODE).is_none());
        places.pop();
        assert!(outstanding.open(NODE).is_some());
    }
}
