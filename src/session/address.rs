//! Where a client really is, behind proxies, and how many sockets it has.

use std::{
    collections::HashMap,
    net::{IpAddr, SocketAddr},
    sync::{Arc, Mutex},
};

use ipnet::IpNet;

/// The client's address. `forwarded` is `X-Forwarded-For`; it is read from its end, as long as the one who wrote the entry
/// is a trusted proxy, so that a client cannot invent its address. Pure.
pub fn client_address(peer: SocketAddr, forwarded: Option<&str>, trusted: &[IpNet]) -> IpAddr {
    let is_trusted = |address: &IpAddr| trusted.iter().any(|network| network.contains(address));
    let mut client = peer.ip().to_canonical();
    for entry in forwarded.unwrap_or_default().rsplit(',') {
        let Ok(address) = entry.trim().parse::<IpAddr>() else { break };
        if !is_trusted(&client) {
            break;
        }
        client = address.to_canonical();
    }
    client
}

/// Counts open sockets by address; one for the node.
#[derive(Debug)]
pub struct Addresses {
    limit: usize,
    open: Mutex<HashMap<IpAddr, usize>>,
}

/// One socket's place among those of its address; given back when dropped.
#[derive(Debug)]
pub struct AddressSeat {
    addresses: Arc<Addresses>,
    address: IpAddr,
}

impl Addresses {
    /// At most `limit` sockets for each address; 0 is unlimited and counts nothing.
    pub fn new(limit: usize) -> Arc<Self> {
        Arc::new(Self { limit, open: Mutex::default() })
    }

    /// Takes a place; `Ok(None)` where there is no limit.
    pub fn take(self: &Arc<Self>, address: IpAddr) -> Result<Option<AddressSeat>, OverLimit> {
        if self.limit == 0 {
            return Ok(None);
        }
        let mut open = self.open.lock().expect("no thread panics while it counts");
        let count = open.entry(address).or_default();
        if *count >= self.limit {
            return Err(OverLimit);
        }
        *count += 1;
        Ok(Some(AddressSeat { addresses: self.clone(), address }))
    }
}

/// The address has `GAUNG_MAX_CONNECTIONS_PER_IP` sockets.
#[derive(Debug, PartialEq, Eq)]
pub struct OverLimit;

impl Drop for AddressSeat {
    fn drop(&mut self) {
        let mut open = self.addresses.open.lock().expect("no thread panics while it counts");
        match open.get_mut(&self.address) {
            Some(count) if *count > 1 => *count -= 1,
            _ => drop(open.remove(&self.address)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(peer: &str, forwarded: Option<&str>, expected: &str) {
        let trusted = ["10.0.0.0/8".parse().unwrap(), "fd00::/8".parse().unwrap()];
        let peer = SocketAddr::new(peer.parse().unwrap(), 4_000);
        assert_eq!(client_address(peer, forwarded, &trusted).to_string(), expected, "{peer} {forwarded:?}");
    }

    #[test]
    fn only_trusted_proxies_are_believed() {
        check("203.0.113.9", Some("1.2.3.4"), "203.0.113.9");
        check("10.0.0.1", Some("1.2.3.4"), "1.2.3.4");
        check("::ffff:10.0.0.1", Some("1.2.3.4"), "1.2.3.4");
        check("10.0.0.1", None, "10.0.0.1");
    }

    #[test]
    fn an_address_that_the_client_invented_is_not_reached() {
        check("10.0.0.1", Some("6.6.6.6, 203.0.113.9, 10.0.0.2"), "203.0.113.9");
        check("10.0.0.1", Some("6.6.6.6, rubbish, 10.0.0.2"), "10.0.0.2");
    }

    #[test]
    fn each_address_has_its_own_limit() {
        let addresses = Addresses::new(1);
        let [one, two]: [IpAddr; 2] = ["10.0.0.1".parse().unwrap(), "10.0.0.2".parse().unwrap()];
        let seat = addresses.take(one);
        assert!(seat.is_ok());
        assert_eq!(addresses.take(one).err(), Some(OverLimit));
        assert!(addresses.take(two).is_ok());
        drop(seat);
        assert!(addresses.take(one).is_ok());
        assert!(Addresses::new(0).take(one).unwrap().is_none());
    }
}
