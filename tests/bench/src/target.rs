//! A process under measurement: where it listens and how it is spoken to.

use std::{
    io,
    net::SocketAddr,
    sync::Arc,
    time::{Duration, SystemTime},
};

use gaung::protocol::AppKey;
use rustls::ClientConfig;

use super::{
    event, floor, handshake,
    link::Link,
    seat::{PRESENCE_CHANNEL, Seat},
};

/// The server or the floor.
#[derive(Debug, Clone)]
pub struct Target {
    /// Whose CPU time and memory are read.
    pub pid: u32,
    /// Where sockets connect.
    pub public: SocketAddr,
    /// The server's admin port; where the floor takes triggers.
    pub admin: SocketAddr,
    /// What it speaks.
    pub dialect: Dialect,
    /// The clients of TLS, if that is what it speaks on its public port.
    pub tls: Option<Arc<ClientConfig>>,
}

/// What a target speaks.
#[derive(Debug, Clone)]
pub enum Dialect {
    /// The Pusher protocol and the trigger API, with an app's credentials.
    Pusher {
        /// The app's id.
        app_id: String,
        /// The app's key and secret.
        key: AppKey,
    },
    /// The floor's bytes: one to subscribe, a line to trigger, no answer to a trigger.
    Ready,
}

impl Target {
    /// One that speaks no TLS.
    pub fn new(pid: u32, public: SocketAddr, admin: SocketAddr, dialect: Dialect) -> Self {
        Self { pid, public, admin, dialect, tls: None }
    }

    /// A connection to one of its ports, by the client with this number.
    pub fn connect(&self, address: SocketAddr, number: usize) -> io::Result<Link> {
        Link::connect(address, self.tls.as_ref().filter(|_| address == self.public), number)
    }

    /// What a subscriber sends first.
    pub fn opening(&self, seat: Seat) -> Vec<u8> {
        match (&self.dialect, seat) {
            (Dialect::Pusher { key, .. }, _) => handshake::upgrade(self.public, &key.key, &seat.resume_id()),
            // The floor knows channels only.
            (Dialect::Ready, Seat::Channel(number) | Seat::Member(number) | Seat::Page { channel: number, .. }) => {
                floor::registration(number)
            }
        }
    }

    /// What a subscriber sends when it has been greeted; `None` if the greeting is none, or none is expected.
    pub fn subscribe(&self, seat: Seat, greeting: &str) -> Option<Vec<u8>> {
        match &self.dialect {
            Dialect::Pusher { key, .. } => seat.subscribe(key, greeting),
            Dialect::Ready => None,
        }
    }

    /// Where triggers are sent.
    pub fn trigger_address(&self) -> SocketAddr {
        match self.dialect {
            Dialect::Pusher { .. } => self.public,
            Dialect::Ready => self.admin,
        }
    }

    /// Triggers number 0 to `count`, ready to be sent, going round the channels. Made beforehand, so that signing does
    /// not take time from the measured phase; good for the ten minutes that a signature is.
    pub fn triggers(&self, count: u32, channels: u32, size: usize) -> Vec<Vec<u8>> {
        (0..count).map(|sequence| self.trigger(sequence % channels, sequence, size)).collect()
    }

    /// The trigger of event number `sequence` on a channel.
    pub fn trigger(&self, channel: u32, sequence: u32, size: usize) -> Vec<u8> {
        match &self.dialect {
            Dialect::Pusher { app_id, key } => {
                let body = event::trigger_body(channel, sequence, size);
                handshake::trigger(self.public, app_id, key, &body, unix_time())
            }
            Dialect::Ready => floor::trigger(channel, sequence),
        }
    }

    /// The path and query that ask for the number of members of the presence channel; `None` of the floor.
    pub fn count_members(&self) -> Option<String> {
        let Dialect::Pusher { app_id, key } = &self.dialect else { return None };
        let path = format!("/channels/{PRESENCE_CHANNEL}");
        Some(handshake::signed_query(app_id, key, &path, &[("info", "user_count")], unix_time()))
    }

    /// `count` unsigned requests with the bodies of triggers, for the route that answers at once.
    pub fn noops(&self, count: u32, size: usize) -> Vec<Vec<u8>> {
        (0..count)
            .map(|sequence| handshake::post(self.admin, "/noop", &event::trigger_body(0, sequence, size)))
            .collect()
    }
}

fn unix_time() -> Duration {
    SystemTime::UNIX_EPOCH.elapsed().unwrap_or_default()
}
