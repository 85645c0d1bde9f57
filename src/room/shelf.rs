//! The cached events of a node that is alone: the newest that fit into the bounds, over all rooms of all threads. In a
//! cluster its core decides, for all nodes alike.
//!
//! The lock is taken for events of cache channels only, and held for the time of a look-up.

use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};

use actix::Addr;
use gaung_cluster::{
    Room,
    newest::{CacheBounds, Newest},
};

use super::{FromPeers, Rooms, interest::ChannelHash, messages::FromPeersForRoom, shard::Shard};
use crate::protocol::ChannelName;

/// Which events are kept. Cheap to clone.
#[derive(Debug, Clone)]
pub(super) struct Shelf(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    newest: Mutex<Newest<Room>>,
    /// Where the rooms are that are told to forget theirs.
    shards: OnceLock<Arc<[Addr<Shard>]>>,
}

/// An event's place; given back when dropped.
#[derive(Debug)]
pub struct ShelfPlace {
    shelf: Shelf,
    room: Room,
    at: u64,
}

/// What cached events take.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct CacheUse {
    /// Their bytes now.
    pub bytes: usize,
    /// How many had to go for newer ones so far.
    pub evicted: u64,
}

impl Shelf {
    /// An empty one.
    pub(super) fn new(bounds: CacheBounds) -> Self {
        Self(Arc::new(Inner { newest: Mutex::new(Newest::new(bounds)), shards: OnceLock::new() }))
    }

    /// The rooms are on these shards.
    pub(super) fn serve(&self, shards: &Arc<[Addr<Shard>]>) {
        // Said once, where the shards are started.
        let _ = self.0.shards.set(shards.clone());
    }

    /// Keeps an event of a channel that was published `at`, which takes so many bytes. Rooms whose events have to go for
    /// it are told; its own may be among them.
    pub(super) fn put(&self, app_id: &str, channel: &ChannelName, at: u64, bytes: usize) -> Option<ShelfPlace> {
        let room = Room::new(app_id, channel.as_str()).ok()?;
        let evicted = self.newest().put(&room, at, bytes);
        evicted.iter().for_each(|(room, at)| self.evict(room, *at));
        Some(ShelfPlace { shelf: self.clone(), room, at })
    }

    /// What is kept now.
    pub(super) fn usage(&self) -> CacheUse {
        let newest = self.newest();
        CacheUse { bytes: newest.bytes(), evicted: newest.evicted() }
    }

    /// Tells a room here to forget its event, if it is the one that was published `at`.
    pub(super) fn evict(&self, room: &Room, at: u64) {
        let (Some(shards), Ok(channel)) = (self.0.shards.get(), ChannelName::parse(room.channel(), usize::MAX)) else {
            return;
        };
        let shard = &shards[ChannelHash::of(room.app(), channel.as_str()).shard(shards.len())];
        shard.do_send(FromPeersForRoom {
            app_id: room.app().clone(),
            channel,
            from_peers: FromPeers::CacheEvicted(at),
        });
    }

    fn newest(&self) -> MutexGuard<'_, Newest<Room>> {
        self.0.newest.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// What concerns the cached events of all rooms.
impl Rooms {
    /// The cached event of a channel that was published `at` had to go for newer ones.
    pub fn evict(&self, room: &Room, at: u64) {
        self.shelf.evict(room, at);
    }

    /// What cached events take on a node that is alone; `None` where the cluster keeps them.
    pub fn cache_use(&self) -> Option<CacheUse> {
        self.cluster.is_none().then(|| self.shelf.usage())
    }
}

impl Drop for ShelfPlace {
    fn drop(&mut self) {
        self.shelf.newest().remove_if(&self.room, self.at);
    }
}
