//! How a node asks all others for what they keep of a channel, and answers them. What is asked and answered is decided in
//! `inquiry`.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use futures_util::{StreamExt, future::join_all, pin_mut};
use gaung_cluster::{NodeId, Room, core::Published};
use tokio::{
    sync::Semaphore,
    time::{sleep, timeout, timeout_at},
};

use super::{
    inquiry::{self, Answered, Inquiry, PATIENCE, STREAM_PATIENCE, Wanted},
    messages::AnswerHistory,
    state::RoomState,
};
use crate::{
    cluster::{Cluster, Question, Reply},
    protocol::{ChannelName, Position},
};

/// How often it is looked whether a node that does not answer has ended.
const LOOK_EVERY: Duration = Duration::from_millis(250);

/// Channels that a node asks for at once. Others wait their turn, within the same time.
const MAX_AT_ONCE: usize = 64;

/// Of all rooms of a node. Cheap to clone.
#[derive(Debug, Clone)]
pub(super) struct Asking(Arc<Semaphore>);

/// Where an answer goes, and what this node's core says in it.
#[derive(Debug)]
pub struct HistoryReply {
    /// This node.
    pub node: NodeId,
    /// What its core knows of the channel.
    pub published: Published,
    /// The way back.
    pub reply: Reply,
}

impl Default for Asking {
    fn default() -> Self {
        Self(Arc::new(Semaphore::new(MAX_AT_ONCE)))
    }
}

impl Asking {
    /// Asks all other nodes for what they know of a channel after a position, and the stream behind them for what they do
    /// not. Takes no longer than [`PATIENCE`] where there is no stream, and usually no longer where there is.
    pub(super) fn ask(
        &self,
        cluster: Cluster,
        app: Arc<str>,
        channel: ChannelName,
        (since, wanted): (Position, Wanted),
    ) -> impl Future<Output = Answered> + use<> {
        let turns = self.0.clone();
        async move {
            let until = tokio::time::Instant::now() + patience(&cluster);
            let Ok(Ok(turn)) = timeout_at(until, turns.acquire()).await else { return Answered::Busy };
            let begins = tokio::time::Instant::now();
            let ends = until.min(begins + PATIENCE);
            let published = timeout_at(ends, cluster.published_in(&app, &channel)).await;
            let Ok(Some(published)) = published else { return Answered::Silent };
            let mut inquiry = Inquiry::new(channel.clone(), cluster.link().node(), &published);
            let question = Question::History { app: app.clone(), channel: channel.clone(), since: since.clone() };
            let _ = timeout_at(ends, hear(&cluster, question.clone(), &mut inquiry)).await;
            drop(turn);
            while begins.elapsed() + LOOK_EVERY < inquiry.patience(cluster.stream().is_some()) {
                sleep(LOOK_EVERY).await;
                let published = timeout(PATIENCE, cluster.published_in(&app, &channel)).await;
                published.ok().flatten().iter().for_each(|published| inquiry.look(published));
                // A question may have been lost, or its answer.
                hear_late(&cluster, &question, &mut inquiry).await;
            }
            if let (Some(stream), Ok(room)) = (cluster.stream(), Room::new(&app, channel.as_str()))
                && inquiry.needs_stream(&since, &wanted, Instant::now())
            {
                let read = timeout(STREAM_PATIENCE, stream.read(&room, wanted.reach(Instant::now()))).await;
                inquiry.take_stored(read.ok().and_then(Result::ok), &wanted, Instant::now());
            }
            inquiry.end()
        }
    }
}

/// How long a channel waits for its turn: who would have to be told that something is missing waits rather longer.
fn patience(cluster: &Cluster) -> Duration {
    if cluster.stream().is_some() { STREAM_PATIENCE } else { PATIENCE }
}

async fn hear(cluster: &Cluster, question: Question, inquiry: &mut Inquiry) {
    let answers = cluster.ask_all(question).await;
    pin_mut!(answers);
    // One that has said that it leaves, and has gone, is asked too.
    while !inquiry.is_complete()
        && let Some((node, answer)) = answers.next().await
    {
        inquiry.take(node, answer, Instant::now());
    }
}

/// Asks those again that have not answered.
async fn hear_late(cluster: &Cluster, question: &Question, inquiry: &mut Inquiry) {
    let ask = |node| async move { (node, cluster.ask(node, question.clone()).await) };
    for (node, answer) in join_all(inquiry.awaited().map(ask)).await {
        if let Some(answer) = answer {
            inquiry.take(node, answer, Instant::now());
        }
    }
}

impl AnswerHistory {
    /// Answers with what the room knows, if there is one.
    pub(super) fn answer(self, room: Option<&RoomState>, now: Instant) {
        let HistoryReply { node, published, reply } = self.reply;
        let kept = room.map(|room| room.share_history(&self.since, now)).unwrap_or_default();
        reply.send(inquiry::answer(node, &published, kept));
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::config;

    async fn ask(asking: &Asking) -> (Answered, Duration) {
        let variables = [
            ("GAUNG_NATS_URL", "nats://127.0.0.1:4222"),
            ("GAUNG_APP_ID", "app"),
            ("GAUNG_APP_KEY", "key"),
            ("GAUNG_APP_SECRET", "secret"),
        ];
        let loaded = config::load(variables.map(|(name, value)| (name.to_owned(), value.to_owned()))).unwrap();
        // The bus does not run: it answers nothing.
        let (cluster, _bus) = Cluster::open(&loaded.config.cluster.unwrap(), 1).unwrap();
        let wanted = Wanted { since: None, moment: None, named: Position::default(), window: Duration::ZERO };
        let (began, channel) = (tokio::time::Instant::now(), ChannelName::parse("orders", 200).unwrap());
        let answered = asking.ask(cluster, "app".into(), channel, (Position::default(), wanted)).await;
        (answered, began.elapsed())
    }

    #[tokio::test(start_paused = true)]
    async fn only_so_many_channels_are_asked_for_at_once_and_nobody_waits_longer_than_the_bound() {
        let asking = Asking::default();
        assert!(matches!(ask(&asking).await, (Answered::Silent, PATIENCE)));
        let all = asking.0.acquire_many(MAX_AT_ONCE as u32).await.unwrap();
        assert!(matches!(ask(&asking).await, (Answered::Busy, PATIENCE)));
        drop(all);
        assert!(matches!(ask(&asking).await, (Answered::Silent, PATIENCE)));
    }
}
