//! How a node asks all others for what they keep of a channel, and answers them. What is asked and answered is decided in
//! `inquiry`.

use std::{sync::Arc, time::Instant};

use futures_util::{StreamExt, pin_mut};
use gaung_cluster::{NodeId, core::Published};
use tokio::{sync::Semaphore, time::timeout_at};

use super::{
    inquiry::{self, Answered, Inquiry, PATIENCE},
    messages::AnswerHistory,
    state::RoomState,
};
use crate::{
    cluster::{Cluster, Question, Reply},
    protocol::{ChannelName, Position},
};

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
    /// Asks all other nodes for what they know of a channel after a position. Takes no longer than [`PATIENCE`].
    pub(super) fn ask(
        &self,
        cluster: Cluster,
        app: Arc<str>,
        channel: ChannelName,
        since: Position,
    ) -> impl Future<Output = Answered> + use<> {
        let turns = self.0.clone();
        async move {
            let ends = Instant::now() + PATIENCE;
            let Ok(Ok(_turn)) = timeout_at(ends.into(), turns.acquire()).await else { return Answered::Busy };
            let Some(published) = cluster.published_in(&app, &channel).await else { return Answered::Silent };
            let mut inquiry = Inquiry::new(channel.clone(), cluster.link().node(), &published);
            let hear = hear(&cluster, Question::History { app, channel, since }, &mut inquiry);
            let _ = timeout_at(ends.into(), hear).await;
            inquiry.end()
        }
    }
}

async fn hear(cluster: &Cluster, question: Question, inquiry: &mut Inquiry) {
    let answers = cluster.ask_all(question).await;
    pin_mut!(answers);
    while let Some((node, answer)) = answers.next().await {
        inquiry.take(node, answer, Instant::now());
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
