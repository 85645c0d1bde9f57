//! Signed-in users of one shard: which sockets are theirs, and who watches them (protocol.md §1.12). Acts only on the
//! outboxes and the cluster that it is told to.
//!
//! Invariant: a user is online exactly while at least one socket, here or on another node, is signed in as that user.

use std::{collections::HashMap, sync::Arc};

use crate::{
    cluster::Cluster,
    event::EncodedEvent,
    outbox::{Outbox, closing::ClientProtocol},
    protocol::{Close, SocketId, outbound},
};

use super::{
    fanout::Subscriber,
    interest::{ChannelHash, Interest},
    messages::SignIn,
    rooms::user_channel,
};

/// Users by app and id. Known are those who are signed in on any node, and those whom somebody here watches.
pub struct Users {
    apps: HashMap<Arc<str>, HashMap<String, User>>,
    interest: Interest,
    cluster: Option<Cluster>,
}

#[derive(Default)]
struct User {
    sockets: Vec<Subscriber>,
    line: Line,
    /// Sockets on other nodes.
    remote: u64,
    watchers: HashMap<SocketId, Arc<Outbox>>,
}

/// Whether this node hears what other nodes publish for a user.
#[derive(Default)]
enum Line {
    /// Nobody is signed in here.
    #[default]
    Closed,
    /// These sockets are answered once nothing is missed any more.
    Opening(Vec<SignIn>),
    /// Whoever signs in is answered at once.
    Open,
}

impl Users {
    /// Nobody. `interest` learns of everybody who is signed in here.
    pub fn new(interest: Interest, cluster: Option<Cluster>) -> Self {
        Self { apps: HashMap::new(), interest, cluster }
    }

    /// A socket signed in, perhaps once more. It is answered when it is sure to miss nothing afterwards. Watchers hear of
    /// a user's first socket.
    pub fn sign_in(&mut self, app_id: &Arc<str>, user_id: &str, sign_in: SignIn) {
        let user = Self::user(&mut self.apps, app_id, user_id);
        if let Line::Closed = user.line {
            self.interest.begin(ChannelHash::of(app_id, &user_channel(user_id)));
            user.line = match &self.cluster {
                None => Line::Open,
                Some(cluster) => {
                    cluster.serve(app_id, &user_channel(user_id));
                    Line::Opening(Vec::new())
                }
            };
        }
        match &mut user.line {
            Line::Opening(waiting) => waiting.push(sign_in),
            Line::Closed | Line::Open => {
                user.enter(user_id, sign_in);
                self.share_count(app_id, user_id);
            }
        }
    }

    /// From now on nothing that other nodes publish for the user is missed.
    pub fn open(&mut self, app_id: &Arc<str>, user_id: &str) {
        let Some(user) = self.apps.get_mut(app_id).and_then(|users| users.get_mut(user_id)) else { return };
        let Line::Opening(waiting) = &mut user.line else { return };
        let waiting = std::mem::take(waiting);
        user.line = Line::Open;
        for sign_in in waiting {
            user.enter(user_id, sign_in);
        }
        self.share_count(app_id, user_id);
    }

    /// A socket is gone. Watchers hear of a user's last socket.
    pub fn sign_out(&mut self, app_id: &Arc<str>, user_id: &str, socket: SocketId) {
        let Some(user) = self.apps.get_mut(app_id).and_then(|users| users.get_mut(user_id)) else { return };
        if let Line::Opening(waiting) = &mut user.line {
            waiting.retain(|known| known.socket.id != socket);
        }
        let was_online = user.is_online();
        user.sockets.retain(|known| known.id != socket);
        // On a node that goes nobody is seen to leave: the user is on the way to another.
        if !self.cluster.as_ref().is_some_and(Cluster::is_leaving) {
            user.announce_change(user_id, was_online);
        }
        if user.has_hung_up() {
            user.line = Line::Closed;
            self.interest.end(ChannelHash::of(app_id, &user_channel(user_id)));
            if let Some(cluster) = &self.cluster {
                cluster.leave(app_id, &user_channel(user_id));
            }
        }
        self.share_count(app_id, user_id);
        self.forget_idle(app_id, user_id);
    }

    /// How many sockets are signed in as the user on all other nodes.
    pub fn set_remote(&mut self, app_id: &Arc<str>, user_id: &str, sockets: u64) {
        let user = Self::user(&mut self.apps, app_id, user_id);
        let was_online = user.is_online();
        user.remote = sockets;
        user.announce_change(user_id, was_online);
        self.forget_idle(app_id, user_id);
    }

    /// A socket wants to hear of `user_ids`; it is told at once who of them is online.
    pub fn watch(&mut self, app_id: &Arc<str>, user_ids: &[String], socket: SocketId, outbox: &Arc<Outbox>) {
        let (mut online, mut offline) = (Vec::new(), Vec::new());
        for user_id in user_ids {
            let user = Self::user(&mut self.apps, app_id, user_id);
            user.watchers.insert(socket, outbox.clone());
            if user.is_online() { &mut online } else { &mut offline }.push(user_id.as_str());
        }
        outbox.send(&outbound::watchlist(&online, &offline));
    }

    /// A watching socket is gone.
    pub fn unwatch(&mut self, app_id: &Arc<str>, user_ids: &[String], socket: SocketId) {
        for user_id in user_ids {
            Self::user(&mut self.apps, app_id, user_id).watchers.remove(&socket);
            self.forget_idle(app_id, user_id);
        }
    }

    /// Sends an event to every socket of a user here, but for the excluded one; returns how many there were.
    pub fn deliver(&mut self, app_id: &str, user_id: &str, event: &EncodedEvent) -> usize {
        let Some(user) = self.apps.get(app_id).and_then(|users| users.get(user_id)) else { return 0 };
        let receivers = user.sockets.iter().filter(|socket| event.except != Some(socket.id));
        let frames = receivers.filter_map(|socket| Some((socket, socket.dialect.event(event)?)));
        frames.inspect(|(socket, frame)| socket.outbox.send(frame)).count()
    }

    /// Closes every socket of a user here.
    pub fn terminate(&mut self, app_id: &str, user_id: &str) {
        let Some(user) = self.apps.get(app_id).and_then(|users| users.get(user_id)) else { return };
        let waiting = match &user.line {
            Line::Opening(waiting) => waiting.as_slice(),
            Line::Closed | Line::Open => &[],
        };
        for socket in user.sockets.iter().chain(waiting.iter().map(|waiting| &waiting.socket)) {
            ClientProtocol::Pusher.close(&socket.outbox, Close::Terminated);
        }
    }

    fn user<'a>(
        apps: &'a mut HashMap<Arc<str>, HashMap<String, User>>,
        app_id: &Arc<str>,
        user_id: &str,
    ) -> &'a mut User {
        let users = apps.entry(app_id.clone()).or_default();
        if !users.contains_key(user_id) {
            users.insert(user_id.to_owned(), User::default());
        }
        users.get_mut(user_id).expect("the user was just put there")
    }

    fn share_count(&self, app_id: &Arc<str>, user_id: &str) {
        let user = self.apps.get(app_id).and_then(|users| users.get(user_id));
        if let (Some(cluster), Some(user)) = (&self.cluster, user) {
            cluster.user(app_id, user_id, user.sockets.len());
        }
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
    fn enter(&mut self, user_id: &str, SignIn { socket, welcome, watchlist }: SignIn) {
        welcome.iter().for_each(|frame| socket.outbox.send(frame));
        watchlist.begin(&socket);
        if self.sockets.iter().any(|known| known.id == socket.id) {
            return;
        }
        let was_online = self.is_online();
        self.sockets.push(socket);
        self.announce_change(user_id, was_online);
    }

    fn is_online(&self) -> bool {
        self.remote > 0 || !self.sockets.is_empty()
    }

    fn has_hung_up(&self) -> bool {
        self.sockets.is_empty()
            && match &self.line {
                Line::Closed => false,
                Line::Opening(waiting) => waiting.is_empty(),
                Line::Open => true,
            }
    }

    fn is_idle(&self) -> bool {
        !self.is_online() && self.watchers.is_empty() && matches!(self.line, Line::Closed)
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
