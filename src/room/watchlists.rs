//! Which users of one shard are online, and who watches them (protocol.md §1.12).
//!
//! Invariant: a user is online exactly while at least one socket, here or on another node, is signed in as that user.

use std::{
    collections::{BTreeMap, HashMap},
    fmt,
    sync::Arc,
};

use super::{Rooms, fanout::Subscriber};
use crate::{
    app::App,
    outbox::Outbox,
    protocol::{SocketId, outbound},
};

/// Users by app and id: those that are online, and those that somebody here watches.
#[derive(Default)]
pub(super) struct Watchlists {
    apps: HashMap<Arc<str>, HashMap<String, User>>,
    /// The lists of the sockets that are signed in on this thread and watch anybody.
    begun: HashMap<SocketId, Box<Watchlist>>,
}

#[derive(Default)]
struct User {
    /// Sockets of this node.
    here: usize,
    /// Sockets of other nodes.
    remote: u64,
    watchers: BTreeMap<SocketId, Arc<Outbox>>,
}

/// Users of whose coming and going a socket wants to hear. They may belong to other shards, which hear of it from the
/// shard of the watching user alone: so an end never overtakes its beginning.
#[derive(Clone)]
pub struct Watchlist {
    rooms: Rooms,
    app: Arc<App>,
    user_ids: Vec<String>,
}

impl Watchlists {
    /// A socket that signed in here hears of these users from now on, and at once who of them is there.
    pub(super) fn begin(&mut self, socket: &Subscriber, watchlist: Box<Watchlist>) {
        let Watchlist { rooms, app, user_ids } = &*watchlist;
        rooms.watch(app, user_ids, socket.id, &socket.outbox);
        self.begun.insert(socket.id, watchlist);
    }

    /// A socket that had signed in here is gone.
    pub(super) fn end(&mut self, socket: SocketId) {
        if let Some(watchlist) = self.begun.remove(&socket) {
            let Watchlist { rooms, app, user_ids } = *watchlist;
            rooms.unwatch(&app, &user_ids, socket);
        }
    }

    /// A socket wants to hear of users of this shard; it is told at once who of them is online.
    pub(super) fn watch(&mut self, app_id: &Arc<str>, user_ids: &[String], socket: SocketId, outbox: &Arc<Outbox>) {
        let (mut online, mut offline) = (Vec::new(), Vec::new());
        for user_id in user_ids {
            let user = self.user(app_id, user_id);
            user.watchers.insert(socket, outbox.clone());
            if user.is_online() { &mut online } else { &mut offline }.push(user_id.as_str());
        }
        outbox.send(&outbound::watchlist(&online, &offline));
    }

    /// A watching socket is gone.
    pub(super) fn unwatch(&mut self, app_id: &Arc<str>, user_ids: &[String], socket: SocketId) {
        for user_id in user_ids {
            self.user(app_id, user_id).watchers.remove(&socket);
            self.forget_idle(app_id, user_id);
        }
    }

    /// So many sockets of this node are signed in as the user. On a node that goes nobody is seen to leave: the user is on
    /// the way to another.
    pub(super) fn set_here(&mut self, app_id: &Arc<str>, user_id: &str, sockets: usize, is_leaving: bool) {
        let user = self.user(app_id, user_id);
        let was_online = user.is_online();
        user.here = sockets;
        if user.is_online() || !is_leaving {
            user.announce_change(user_id, was_online);
        }
        self.forget_idle(app_id, user_id);
    }

    /// So many sockets are signed in as the user on all other nodes.
    pub(super) fn set_remote(&mut self, app_id: &Arc<str>, user_id: &str, sockets: u64) {
        let user = self.user(app_id, user_id);
        let was_online = user.is_online();
        user.remote = sockets;
        user.announce_change(user_id, was_online);
        self.forget_idle(app_id, user_id);
    }

    fn user(&mut self, app_id: &Arc<str>, user_id: &str) -> &mut User {
        let users = self.apps.entry(app_id.clone()).or_default();
        if !users.contains_key(user_id) {
            users.insert(user_id.to_owned(), User::default());
        }
        users.get_mut(user_id).expect("the user was just put there")
    }

    fn forget_idle(&mut self, app_id: &Arc<str>, user_id: &str) {
        let Some(users) = self.apps.get_mut(app_id) else { return };
        if users.get(user_id).is_some_and(User::is_idle) {
            users.remove(user_id);
        }
        if users.is_empty() {
            self.apps.remove(app_id);
        }
    }
}

impl User {
    fn is_online(&self) -> bool {
        self.remote > 0 || self.here > 0
    }

    fn is_idle(&self) -> bool {
        !self.is_online() && self.watchers.is_empty()
    }

    fn announce_change(&self, user_id: &str, was_online: bool) {
        let frame = match (was_online, self.is_online()) {
            (false, true) => outbound::watchlist(&[user_id], &[]),
            (true, false) => outbound::watchlist(&[], &[user_id]),
            (true, true) | (false, false) => return,
        };
        self.watchers.values().for_each(|outbox| outbox.send(&frame));
    }
}

impl Watchlist {
    /// These users of an app; `None` if there are none.
    pub fn of(user_ids: Vec<String>, app: &Arc<App>, rooms: &Rooms) -> Option<Box<Self>> {
        (!user_ids.is_empty()).then(|| Box::new(Self { rooms: rooms.clone(), app: app.clone(), user_ids }))
    }
}

impl fmt::Debug for Watchlist {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Watchlist").field(&self.user_ids).finish()
    }
}
