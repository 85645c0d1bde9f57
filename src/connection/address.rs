//! Where a client really is, behind proxies, and how many sockets it has.

use std::{
    collections::HashMap,
    net::{IpAddr, SocketAddr},
    sync::{Arc, Mutex},
};

use gaung_cluster::seldom::Seldom;
use ipnet::IpNet;

/// The client's address. `forwarded` holds the lines of `X-Forwarded-For` in their order, all of which are one list
/// (RFC 9110 §5.3): HAProxy adds a line of its own. The list is read from its end, as long as the one who wrote the entry is
/// a trusted proxy, so that a client cannot invent its address. Pure.
pub fn client_address(peer: SocketAddr, forwarded: &[&str], trusted: &[IpNet]) -> IpAddr {
    let is_trusted = |address: &IpAddr| trusted.iter().any(|network| network.contains(address));
    let entries = forwarded.iter().rev().flat_map(|line| line.rsplit(',')).map(str::trim);
    let mut client = peer.ip().to_canonical();
    for entry in entries.filter(|entry| !entry.is_empty()) {
        let Some(address) = entry_address(entry).filter(|_| is_trusted(&client)) else { break };
        client = address.to_canonical();
    }
    client
}

/// An address, or one with a port as the balancers of Azure and AWS write it; IPv6 may stand in brackets.
fn entry_address(entry: &str) -> Option<IpAddr> {
    let with_port = || entry.parse().ok().map(|address: SocketAddr| address.ip());
    let in_brackets = || entry.strip_prefix('[')?.strip_suffix(']')?.parse().ok().map(IpAddr::V6);
    entry.parse().ok().or_else(with_port).or_else(in_brackets)
}

/// An address for the log.
pub fn shown(peer: Option<SocketAddr>) -> String {
    peer.map_or_else(|| "unknown".to_owned(), |peer| peer.ip().to_canonical().to_string())
}

/// Counts open sockets by client; one for the node.
#[derive(Debug)]
pub struct Addresses {
    limit: usize,
    ipv6_prefix: u8,
    open: Mutex<HashMap<IpAddr, usize>>,
    full: Seldom,
}

/// One socket's place among those of its client; given back when dropped.
#[derive(Debug)]
pub struct AddressPermit {
    addresses: Arc<Addresses>,
    client: IpAddr,
}

impl Addresses {
    /// At most `limit` sockets for each client; 0 is unlimited and counts nothing. IPv6 addresses that have their first
    /// `ipv6_prefix` bits in common are one client: a provider gives each of its customers at least 64 bits to choose from.
    pub fn new(limit: usize, ipv6_prefix: u8) -> Arc<Self> {
        Arc::new(Self { limit, ipv6_prefix, open: Mutex::default(), full: Seldom::default() })
    }

    /// Takes a place; `Ok(None)` where there is no limit. The log tells who finds none, once a minute.
    pub fn take(self: &Arc<Self>, address: IpAddr) -> Result<Option<AddressPermit>, OverLimit> {
        if self.limit == 0 {
            return Ok(None);
        }
        let client = client_of(address, self.ipv6_prefix);
        let mut open = self.open.lock().expect("no thread panics while it counts");
        let count = open.entry(client).or_default();
        if *count >= self.limit {
            drop(open);
            self.log_full(address);
            return Err(OverLimit);
        }
        *count += 1;
        Ok(Some(AddressPermit { addresses: self.clone(), client }))
    }

    fn log_full(&self, address: IpAddr) {
        let Some(refused) = self.full.count() else { return };
        tracing::warn!(
            %address,
            limit = self.limit,
            refused,
            "a client address has all the sockets that it may have (GAUNG_MAX_CONNECTIONS_PER_IP); if it is a proxy's, set \
             GAUNG_TRUSTED_PROXIES"
        );
    }
}

/// The network that the address belongs to, as its first address.
pub(super) fn client_of(address: IpAddr, ipv6_prefix: u8) -> IpAddr {
    match address {
        IpAddr::V4(_) => address,
        IpAddr::V6(_) => IpNet::new(address, ipv6_prefix).map_or(address, |network| network.network()),
    }
}

/// The client has `GAUNG_MAX_CONNECTIONS_PER_IP` sockets.
#[derive(Debug, PartialEq, Eq)]
pub struct OverLimit;

impl Drop for AddressPermit {
    fn drop(&mut self) {
        let mut open = self.addresses.open.lock().expect("no thread panics while it counts");
        match open.get_mut(&self.client) {
            Some(count) if *count > 1 => *count -= 1,
            _ => drop(open.remove(&self.client)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(peer: &str, forwarded: &[&str], expected: &str) {
        let trusted = ["10.0.0.0/8".parse().unwrap(), "fd00::/8".parse().unwrap()];
        let peer = SocketAddr::new(peer.parse().unwrap(), 4_000);
        assert_eq!(client_address(peer, forwarded, &trusted).to_string(), expected, "{peer} {forwarded:?}");
    }

    #[test]
    fn only_trusted_proxies_are_believed() {
        check("203.0.113.9", &["1.2.3.4"], "203.0.113.9");
        check("10.0.0.1", &["1.2.3.4"], "1.2.3.4");
        check("::ffff:10.0.0.1", &["1.2.3.4"], "1.2.3.4");
        check("10.0.0.1", &[], "10.0.0.1");
    }

    #[test]
    fn an_address_that_the_client_invented_is_not_reached() {
        check("10.0.0.1", &["6.6.6.6, 203.0.113.9, 10.0.0.2"], "203.0.113.9");
        check("10.0.0.1", &["6.6.6.6, rubbish, 10.0.0.2"], "10.0.0.2");
        check("10.0.0.1", &["6.6.6.6, , 203.0.113.9,"], "203.0.113.9");
    }

    #[test]
    fn all_lines_are_one_list() {
        check("10.0.0.1", &["6.6.6.6", "203.0.113.9"], "203.0.113.9");
        check("10.0.0.1", &["6.6.6.6, 203.0.113.9", "10.0.0.3", "10.0.0.2"], "203.0.113.9");
        check("10.0.0.1", &["6.6.6.6", "rubbish"], "10.0.0.1");
        check("10.0.0.1", &["203.0.113.9", ""], "203.0.113.9");
    }

    #[test]
    fn an_entry_may_have_a_port_and_brackets() {
        check("10.0.0.1", &["9.9.9.9:5000"], "9.9.9.9");
        check("10.0.0.1", &["[2001:db8::1]:5000"], "2001:db8::1");
        check("10.0.0.1", &["[2001:db8::1]"], "2001:db8::1");
        check("10.0.0.1", &["9.9.9.9:5000, [fd00::2]:443"], "9.9.9.9");
        for rubbish in ["9.9.9.9:", "9.9.9.9:65536", "[9.9.9.9]", "[2001:db8::1", "unknown", "\u{fffd}"] {
            check("10.0.0.1", &["6.6.6.6", rubbish], "10.0.0.1");
        }
    }

    fn address(text: &str) -> IpAddr {
        text.parse().unwrap()
    }

    #[test]
    fn each_address_has_its_own_limit() {
        let addresses = Addresses::new(1, 64);
        let [one, two] = ["10.0.0.1", "10.0.0.2"].map(address);
        let permit = addresses.take(one);
        assert!(permit.is_ok());
        assert_eq!(addresses.take(one).err(), Some(OverLimit));
        assert!(addresses.take(two).is_ok());
        drop(permit);
        assert!(addresses.take(one).is_ok());
        assert!(Addresses::new(0, 64).take(one).unwrap().is_none());
    }

    #[test]
    fn ipv6_addresses_of_one_network_are_one_client() {
        let [one, neighbour, stranger] = ["2001:db8::1", "2001:db8::ffff:2", "2001:db8:0:1::1"].map(address);
        let addresses = Addresses::new(1, 64);
        let permit = addresses.take(one);
        assert_eq!(addresses.take(neighbour).err(), Some(OverLimit));
        assert!(addresses.take(stranger).is_ok());
        drop(permit);
        assert!(addresses.take(neighbour).is_ok());
        let addresses = Addresses::new(1, 128);
        let _permit = addresses.take(one);
        assert!(addresses.take(neighbour).is_ok());
    }
}
