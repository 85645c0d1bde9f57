//! Whether the threads still take messages that sockets and requests wait for.

use std::time::Duration;

use futures_util::future::{join, join_all};
use tokio::time::timeout;

use super::{Rooms, messages::Answer};
use crate::readiness::Answers;

impl Rooms {
    /// Whether all threads of rooms, and the one that talks to the other nodes, answer in this time.
    pub async fn answers(&self, patience: Duration) -> Answers {
        let rooms =
            async { join_all(self.shards.iter().map(|shard| shard.send(Answer))).await.iter().all(Result::is_ok) };
        let bus = async {
            match &self.cluster {
                Some(cluster) => cluster.link().ask(|_| ()).await.is_some(),
                None => true,
            }
        };
        let (rooms, bus) = join(timeout(patience, rooms), timeout(patience, bus)).await;
        Answers { rooms: rooms.unwrap_or(false), bus: bus.unwrap_or(false) }
    }
}
