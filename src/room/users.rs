//! Signed-in users of one shard: which sockets are theirs, and who watches them (protocol.md §1.12). Pure but for the
//! outboxes that it is told to write to.
//!
//! Invariant: a user is online exactly while at least one socket is signed in as that user.

use std::{
    collections::{HashMap, hash_map::Entry},
    sync::Arc,
};

use crate::{
    app::App,
    protocol::{Close, SocketId, outbound},
    session::{Outbox, farewell::Words},
};

use super::{
    event::EncodedEvent,
    fanout::Subscriber,
    interest::{Interest, Place},
    line_of,
};

/// Users by app and id. Watched users are known while somebody watches, signed in or not.
#[derive(Debug)]
pub struct Users {
    apps: HashMap<Arc<str>, HashMap<String, User>>,
    interest: Interest,
}

#[derive(Debug, Default)]
struct User {
    sockets: Vec<Subscriber>,
    watchers: HashMap<SocketId, Arc<Outbox>>,
}

impl Users {
    /// Nobody. `interest` learns of everybody who is known here.
    pub fn new(interest: Interest) -> Self {
        Self { apps: HashMap::new(), interest }
    }

    /// A socket signed in, perhaps once more. Watchers hear of a user's first socket.
    pub fn sign_in(&mut self, app: &App, user_id: &str, socket: &Subscriber) {
        let user = self.user(app, user_id);
        if user.sockets.iter().any(|known| known.id == socket.id) {
            return;
        }
        user.sockets.push(socket.clone());
        if user.sockets.len() == 1 {
            user.tell_watchers(&outbound::watchlist(&[user_id], &[]));
        }
    }

    /// A socket is gone. Watchers hear of a user's last socket.
    pub fn sign_out(&mut self, app: &App, user_id: &str, socket: SocketId) {
        let user = self.user(app, user_id);
        let before = user.sockets.len();
        user.sockets.retain(|known| known.id != socket);
        if before > 0 && user.sockets.is_empty() {
            user.tell_watchers(&outbound::watchlist(&[], &[user_id]));
        }
        self.forget_idle(app, user_id);
    }

    /// A socket wants to hear of `user_ids`; it is told at once who of them is online.
    pub fn watch(&mut self, app: &App, user_ids: &[String], socket: SocketId, outbox: &Arc<Outbox>) {
        let (mut online, mut offline) = (Vec::new(), Vec::new());
        for user_id in user_ids {
            let user = self.user(app, user_id);
            user.watchers.insert(socket, outbox.clone());
            if user.sockets.is_empty() { &mut offline } else { &mut online }.push(user_id.as_str());
        }
        outbox.send(&outbound::watchlist(&online, &offline));
    }

    /// A watching socket is gone.
    pub fn unwatch(&mut self, app: &App, user_ids: &[String], socket: SocketId) {
        for user_id in user_ids {
            self.user(app, user_id).watchers.remove(&socket);
            self.forget_idle(app, user_id);
        }
    }

    /// Sends an event to every socket of a user, but for the excluded one; returns how many there were.
    pub fn deliver(&mut self, app: &App, user_id: &str, event: &EncodedEvent) -> usize {
        let Some(user) = self.apps.get(app.id()).and_then(|users| users.get(user_id)) else { return 0 };
        let receivers = user.sockets.iter().filter(|socket| event.except != Some(socket.id));
        receivers.inspect(|socket| socket.outbox.send(&socket.dialect.event(event))).count()
    }

    /// Closes every socket of a user.
    pub fn terminate(&mut self, app: &App, user_id: &str) {
        let Some(user) = self.apps.get(app.id()).and_then(|users| users.get(user_id)) else { return };
        for socket in &user.sockets {
            Words::Pusher.close(&socket.outbox, Close::Terminated);
        }
    }

    fn user(&mut self, app: &App, user_id: &str) -> &mut User {
        let users = self.apps.entry(app.id().clone()).or_default();
        users.entry(user_id.to_owned()).or_insert_with(|| {
            self.interest.begin(Place::of(app.id(), &line_of(user_id)));
            User::default()
        })
    }

    fn forget_idle(&mut self, app: &App, user_id: &str) {
        let Entry::Occupied(mut users) = self.apps.entry(app.id().clone()) else { return };
        if users.get().get(user_id).is_some_and(|user| user.sockets.is_empty() && user.watchers.is_empty()) {
            users.get_mut().remove(user_id);
            self.interest.end(Place::of(app.id(), &line_of(user_id)));
        }
        if users.get().is_empty() {
            users.remove();
        }
    }
}

impl User {
    fn tell_watchers(&self, frame: &bytes::Bytes) {
        self.watchers.values().for_each(|outbox| outbox.send(frame));
    }
}
