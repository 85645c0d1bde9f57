//! What can be asked about the rooms: answered from this node's shards, or, in a cluster, from what its core knows of all
//! nodes. Who does not know says so; an empty answer means that there is nothing.
//!
//! Long lists come in pages, so that no thread is held up by how many rooms there are.

use std::{collections::HashMap, sync::Arc, time::Duration};

use actix::{Addr, Handler, MailboxError, Message};
use futures_util::{FutureExt, future::join_all};
use tokio::time::timeout;

use super::{
    HistoryPage, Rooms,
    actor::RoomActor,
    messages::{Count, Find, ListMembers, ListOccupied, ReadCache, ReadHistory, ReadNewest, Sum},
};
use crate::{
    app::App,
    event::{AppTotals, CachedEvent, Counts, EncodedEvent, Member, Page},
    protocol::{ChannelName, Position},
};

/// Rooms that are looked at for one page, on each thread.
pub(super) const PAGE: usize = 512;

/// How long an answer may take, which usually takes less than a millisecond.
const PATIENCE: Duration = Duration::from_secs(5);

/// The rooms of this node, or its way to the other nodes, do not answer: nothing is known.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("this node cannot tell: its rooms or its way to the other nodes do not answer; choose another one")]
pub struct Unanswered;

impl Rooms {
    /// Counts of the given channels over all nodes, in their order; unknown ones are zero.
    pub async fn counts(&self, app: &Arc<App>, channels: &[ChannelName]) -> Result<Vec<Counts>, Unanswered> {
        if let Some(cluster) = &self.cluster {
            return known(cluster.counts(app, channels)).await;
        }
        let count = |channel: &ChannelName| {
            let request = Count { app: app.clone(), channels: vec![channel.clone()] };
            self.shard(app.id(), channel.as_str()).send(request)
        };
        let first = |answer: Result<Vec<Counts>, MailboxError>| answer.ok()?.first().copied();
        let answers = join_all(channels.iter().map(count));
        known(answers.map(|answers| answers.into_iter().map(first).collect())).await
    }

    /// The channels with subscribers, on any node, whose name starts with `prefix` and comes after `after`, without `#`
    /// channels: a page of them.
    pub async fn occupied(&self, app: &Arc<App>, prefix: &str, after: Option<Arc<str>>) -> Result<Page, Unanswered> {
        if let Some(cluster) = &self.cluster {
            return known(cluster.occupied(app, prefix, after)).await;
        }
        let request = || ListOccupied { app: app.clone(), prefix: prefix.to_owned(), after: after.clone() };
        let answers = join_all(self.shards.iter().map(|shard| shard.send(request())));
        let pages = known(answers.map(|answers| answers.into_iter().map(Result::ok).collect::<Option<_>>())).await?;
        Ok(Page::merge(pages))
    }

    /// The cached event of a channel.
    pub async fn cached(&self, app: &Arc<App>, channel: &ChannelName) -> Result<Option<CachedEvent>, Unanswered> {
        if let Some(cluster) = &self.cluster {
            return known(cluster.cached(app, channel)).await;
        }
        Ok(self.ask(app, channel, ReadCache).await?.flatten())
    }

    /// What this node keeps of a channel's events, the oldest first; nothing where the channel is not open here.
    pub async fn history(
        &self,
        app: &Arc<App>,
        channel: &ChannelName,
        since: Option<Position>,
        limit: usize,
    ) -> Result<HistoryPage, Unanswered> {
        Ok(self.ask(app, channel, ReadHistory { since, limit }).await?.unwrap_or_default())
    }

    /// The newest events that this node keeps of a channel, so many at most, the oldest of them first.
    pub async fn newest_events(
        &self,
        app: &Arc<App>,
        channel: &ChannelName,
        limit: usize,
    ) -> Result<Vec<EncodedEvent>, Unanswered> {
        Ok(self.ask(app, channel, ReadNewest(limit)).await?.unwrap_or_default())
    }

    /// The members of a presence channel on all nodes.
    pub async fn members(&self, app: &Arc<App>, channel: &ChannelName) -> Result<Vec<Member>, Unanswered> {
        if let Some(cluster) = &self.cluster {
            return known(cluster.members(app, channel)).await;
        }
        Ok(self.ask(app, channel, ListMembers).await?.unwrap_or_default())
    }

    /// What this node's rooms of each app add up to, by app id; apps without rooms are left out. `None` if a shard is gone.
    pub async fn totals(&self) -> Option<HashMap<Arc<str>, AppTotals>> {
        let mut totals = HashMap::<_, AppTotals>::new();
        for answer in join_all(self.shards.iter().map(|shard| shard.send(Sum))).await {
            for (app_id, more) in answer.ok()? {
                let sum = totals.entry(app_id).or_default();
                *sum = sum.plus(more);
            }
        }
        Some(totals)
    }

    /// What a room of this node answers; `None` where there is none. One that has gone meanwhile had nothing left, but that
    /// is for its shard to say.
    async fn ask<M>(&self, app: &Arc<App>, channel: &ChannelName, question: M) -> Result<Option<M::Result>, Unanswered>
    where
        M: Message + Send + 'static,
        M::Result: Send,
        RoomActor: Handler<M>,
    {
        let Some(room) = self.find(app, channel).await? else { return Ok(None) };
        match known(room.send(question).map(Result::ok)).await {
            Err(Unanswered) if self.find(app, channel).await?.is_none() => Ok(None),
            answer => answer.map(Some),
        }
    }

    pub(super) async fn find(
        &self,
        app: &Arc<App>,
        channel: &ChannelName,
    ) -> Result<Option<Addr<RoomActor>>, Unanswered> {
        let request = Find { app: app.clone(), channel: channel.clone() };
        known(self.shard(app.id(), channel.as_str()).send(request).map(Result::ok)).await
    }
}

/// What somebody answers, unless they are gone or silent for long.
async fn known<T>(answer: impl Future<Output = Option<T>>) -> Result<T, Unanswered> {
    timeout(PATIENCE, answer).await.ok().flatten().ok_or(Unanswered)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn who_has_gone_or_stays_silent_has_not_said_that_there_is_nothing() {
        let gone = async { Err::<Option<CachedEvent>, _>(MailboxError::Closed) };
        assert_eq!(known(gone.map(Result::ok)).await, Err(Unanswered));
        assert_eq!(known(std::future::pending::<Option<Vec<Member>>>()).await, Err(Unanswered));
    }
}
