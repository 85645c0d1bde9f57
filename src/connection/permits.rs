//! How many connections there are that are no sockets: on the node, and of one client address.

use std::{
    net::{IpAddr, SocketAddr},
    sync::Arc,
};

use gaung_cluster::seldom::Seldom;
use ipnet::IpNet;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use crate::{
    config::LimitsConfig,
    connection::address::{AddressPermit, Addresses, OverLimit},
};

/// The connections of one node that are no sockets: of HTTP, and before their upgrade.
#[derive(Debug)]
pub struct ConnectionPermits {
    limit: usize,
    free: Arc<Semaphore>,
    full: Seldom,
    /// Those of a client that have not asked for anything yet.
    fresh: Arc<Addresses>,
    /// All that a client has, its sockets among them.
    addresses: Arc<Addresses>,
    trusted_proxies: Vec<IpNet>,
}

/// One connection's permit on the node; given back when dropped.
#[derive(Debug)]
pub struct ConnectionPermit {
    permits: Arc<ConnectionPermits>,
    _permit: OwnedSemaphorePermit,
    /// Where the connection comes from, unless that is a proxy for many clients.
    client: Option<IpAddr>,
    /// Its permit among those of its client. A socket takes it over, unless it is a fresh connection's.
    address: Option<AddressPermit>,
    is_fresh: bool,
}

/// Who has all the connections that there may be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LimitReached {
    OnNode,
    OfAddress,
}

impl ConnectionPermits {
    /// So many, of a node whose sockets are counted in `addresses`.
    pub fn new(limit: usize, limits: &LimitsConfig, addresses: Arc<Addresses>) -> Arc<Self> {
        Arc::new(Self {
            limit,
            free: Arc::new(Semaphore::new(limit)),
            full: Seldom::default(),
            fresh: Addresses::new(limits.max_connections_per_ip, limits.ipv6_client_prefix),
            addresses,
            trusted_proxies: limits.trusted_proxies.clone(),
        })
    }

    /// A permit for a connection that was just accepted. The log tells who finds none, once a minute.
    pub fn take(self: &Arc<Self>, peer: Option<SocketAddr>) -> Result<ConnectionPermit, LimitReached> {
        let client = peer.map(|peer| peer.ip().to_canonical()).filter(|client| !self.is_trusted(client));
        let permit = self.free.clone().try_acquire_owned().map_err(|_| {
            self.log_full();
            LimitReached::OnNode
        })?;
        // This one beside those that are not scarce.
        if self.taken() <= self.limit / 2 + 1 && self.full.settle() {
            tracing::info!(limit = self.limit, "there is room for HTTP connections again");
        }
        let address = client.map(|client| self.fresh.take(client)).transpose();
        let address = address.map_err(|OverLimit| LimitReached::OfAddress)?.flatten();
        Ok(ConnectionPermit { permits: self.clone(), _permit: permit, client, address, is_fresh: true })
    }

    pub fn taken(&self) -> usize {
        self.limit - self.free.available_permits()
    }

    /// More than half of the permits are taken: nobody may keep one only to be quicker next time.
    pub fn are_scarce(&self) -> bool {
        self.taken() > self.limit / 2
    }

    /// A trusted proxy's connections are many clients'.
    fn is_trusted(&self, client: &IpAddr) -> bool {
        self.trusted_proxies.iter().any(|network| network.contains(client))
    }

    fn log_full(&self) {
        let Some(refused) = self.full.count() else { return };
        tracing::warn!(limit = self.limit, refused, "HTTP connection limit reached (GAUNG_MAX_HTTP_CONNECTIONS)");
    }
}

impl ConnectionPermit {
    /// The connection has asked for something over HTTP: from now on it is one of its client's.
    pub fn settle(&mut self) -> Result<(), OverLimit> {
        if let (true, Some(client)) = (self.is_fresh, self.client) {
            self.address = self.permits.addresses.take(client)?;
        }
        self.is_fresh = false;
        Ok(())
    }

    /// Whether it counts among the sockets and used connections of its client.
    pub fn is_held_by_address(&self) -> bool {
        !self.is_fresh && self.address.is_some()
    }

    /// What a socket takes over of it.
    pub fn into_address_permit(self) -> Option<AddressPermit> {
        self.address.filter(|_| !self.is_fresh)
    }

    /// The permits that this one is of.
    pub fn permits(&self) -> &ConnectionPermits {
        &self.permits
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::log::heard::HeardLog;

    fn permits(connections: usize, per_address: usize) -> (Arc<ConnectionPermits>, Arc<Addresses>) {
        let limits = LimitsConfig {
            max_connections_per_ip: per_address,
            trusted_proxies: vec!["10.0.0.0/8".parse().unwrap()],
            ..LimitsConfig::default()
        };
        let addresses = Addresses::new(per_address, 64);
        (ConnectionPermits::new(connections, &limits, addresses.clone()), addresses)
    }

    fn peer(address: &str) -> Option<SocketAddr> {
        Some(SocketAddr::new(address.parse().unwrap(), 4_000))
    }

    #[test]
    fn a_node_has_so_many_and_one_that_ends_makes_room() {
        let (permits, _) = permits(2, 0);
        let one = permits.take(peer("203.0.113.1")).unwrap();
        assert!(!permits.are_scarce());
        let _other = permits.take(peer("203.0.113.1")).unwrap();
        assert!(permits.are_scarce());
        assert_eq!(permits.take(peer("203.0.113.2")).err(), Some(LimitReached::OnNode));
        assert_eq!(permits.taken(), 2);
        drop(one);
        assert!(permits.take(peer("203.0.113.2")).is_ok());
    }

    #[test]
    fn the_log_has_that_there_is_no_room_and_that_there_is_again() {
        let ((permits, _), (log, _guard)) = (permits(4, 0), HeardLog::listen());
        let mut held: Vec<_> = (0..4).map(|_| permits.take(peer("203.0.113.1")).unwrap()).collect();
        assert!(permits.take(peer("203.0.113.1")).is_err());
        held.pop();
        held.push(permits.take(peer("203.0.113.1")).unwrap());
        assert_eq!(log.text().lines().count(), 1, "one place is no room: {}", log.text());
        held.truncate(2);
        held.extend((0..2).map(|_| permits.take(peer("203.0.113.1")).unwrap()));
        let text = log.text();
        let levels: Vec<_> = text.lines().map(|line| (line.contains(" WARN "), line.contains(" INFO "))).collect();
        assert_eq!(levels, [(true, false), (false, true)], "{text}");
    }

    #[test]
    fn an_address_has_so_many_that_ask_for_nothing_and_so_many_with_its_sockets() {
        let (permits, addresses) = permits(100, 2);
        let _socket = addresses.take("203.0.113.1".parse().unwrap()).unwrap();
        let mut one = permits.take(peer("203.0.113.1")).unwrap();
        let mut other = permits.take(peer("203.0.113.1")).unwrap();
        assert_eq!(permits.take(peer("203.0.113.1")).err(), Some(LimitReached::OfAddress));
        assert_eq!(one.settle(), Ok(()));
        assert_eq!(one.settle(), Ok(()));
        assert_eq!(other.settle(), Err(OverLimit));
        drop(one);
        assert_eq!(other.settle(), Ok(()));
    }

    #[test]
    fn the_connections_of_a_trusted_proxy_are_many_clients() {
        let (permits, _) = permits(100, 1);
        let all: Vec<_> =
            (0..3).map(|_| permits.take(peer("::ffff:10.0.0.1")).map(|mut permit| permit.settle())).collect();
        assert_eq!(all, [Ok(Ok(())), Ok(Ok(())), Ok(Ok(()))]);
    }
}
