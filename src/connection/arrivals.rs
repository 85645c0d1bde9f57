//! How many new sockets come in a second: those of the node enter one after the other, those of one client address are
//! counted. After a restart of a proxy all clients of a node come back at once; who is there already must not wait for them.

use std::{
    collections::HashMap,
    net::IpAddr,
    sync::{Mutex, PoisonError},
    time::Duration,
};

use gaung_cluster::seldom::Seldom;

use super::address::client_of;
use crate::{
    app::rate::{Bucket, RateLimit},
    config::LimitsConfig,
};

/// What may enter at once, as the time in which so many come: short enough for those who are in.
const BURST: Duration = Duration::from_millis(50);

/// How long a new socket waits for its turn. Who would wait longer is refused, and comes back after about a second.
const PATIENCE: Duration = Duration::from_secs(1);

/// From this many addresses on, those whose bucket is full again are forgotten now and then.
const FORGET_FROM: usize = 1_024;

/// The rates of a node. Time is what has passed since any fixed moment.
#[derive(Debug, Default)]
pub struct Arrivals {
    /// Sockets a second; 0 is unlimited.
    per_second: u32,
    per_address: u32,
    ipv6_prefix: u8,
    turns: RateLimit,
    addresses: Mutex<Recent>,
    full: Seldom,
    address_full: Seldom,
}

/// The addresses that opened sockets lately.
#[derive(Debug, Default)]
struct Recent {
    buckets: HashMap<IpAddr, Bucket>,
    forget_at: usize,
}

/// The socket may not enter now.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TooMany {
    /// `GAUNG_MAX_CONNECTION_RATE`
    OnNode,
    /// `GAUNG_MAX_CONNECTION_RATE_PER_IP`
    OfAddress,
}

impl Arrivals {
    /// For a node with so many threads that serve sockets.
    pub fn new(limits: &LimitsConfig, threads: usize) -> Self {
        let threads = u32::try_from(threads).unwrap_or(u32::MAX);
        Self {
            per_second: limits.max_connection_rate.saturating_mul(threads),
            per_address: limits.max_connection_rate_per_ip,
            ipv6_prefix: limits.ipv6_client_prefix,
            ..Self::default()
        }
    }

    /// How long a socket that comes now has to wait before it enters. The log tells who may not, once a minute.
    pub fn enter(&self, client: Option<IpAddr>, now: Duration) -> Result<Duration, TooMany> {
        if let Some(client) = client.filter(|_| self.per_address > 0) {
            self.count(client, now)?;
        }
        if self.per_second == 0 {
            return Ok(Duration::ZERO);
        }
        let at_once = BURST.max(Duration::from_secs(1) / self.per_second);
        let ahead = self.turns.reserve(self.per_second, at_once + PATIENCE, now).map_err(|_| {
            self.log_full();
            TooMany::OnNode
        })?;
        Ok(ahead.saturating_sub(at_once))
    }

    fn count(&self, client: IpAddr, now: Duration) -> Result<(), TooMany> {
        let mut recent = self.addresses.lock().unwrap_or_else(PoisonError::into_inner);
        let bucket = recent.bucket(client_of(client, self.ipv6_prefix), now);
        let taken = bucket.take(self.per_address, self.per_address, now);
        drop(recent);
        taken.map_err(|_| {
            self.log_address_full(client);
            TooMany::OfAddress
        })
    }

    fn log_full(&self) {
        let Some(refused) = self.full.count() else { return };
        tracing::warn!(
            per_second = self.per_second,
            refused,
            "more new sockets than GAUNG_MAX_CONNECTION_RATE lets in; the others are told to come back after a second"
        );
    }

    fn log_address_full(&self, address: IpAddr) {
        let Some(refused) = self.address_full.count() else { return };
        tracing::warn!(
            %address,
            per_second = self.per_address,
            refused,
            "a client address opens more sockets a second than it may (GAUNG_MAX_CONNECTION_RATE_PER_IP); if it is a \
             proxy's, set GAUNG_TRUSTED_PROXIES"
        );
    }
}

impl Recent {
    /// An address is kept while its bucket lacks something, which is a second at most.
    fn bucket(&mut self, client: IpAddr, now: Duration) -> &mut Bucket {
        if self.buckets.len() >= self.forget_at.max(FORGET_FROM) {
            self.buckets.retain(|_, bucket| !bucket.is_full(now));
            self.forget_at = self.buckets.len() * 2;
        }
        self.buckets.entry(client).or_default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn arrivals(rate: u32, per_ip: u32) -> Arrivals {
        let limits =
            LimitsConfig { max_connection_rate: rate, max_connection_rate_per_ip: per_ip, ..LimitsConfig::default() };
        Arrivals::new(&limits, 2)
    }

    fn client(number: u32) -> Option<IpAddr> {
        Some(IpAddr::from(number.to_be_bytes()))
    }

    const START: Duration = Duration::from_secs(100);

    #[test]
    fn sockets_enter_at_the_rate_of_the_node_and_who_would_wait_for_more_than_a_second_is_refused() {
        let arrivals = arrivals(50, 0);
        let waits: Vec<_> = (0..200).map_while(|_| arrivals.enter(None, START).ok()).collect();
        // Five at once, and a hundred a second.
        assert_eq!(waits.iter().filter(|wait| wait.is_zero()).count(), 5);
        assert_eq!((waits.len(), waits[104]), (105, PATIENCE));
        assert!(waits.windows(2).skip(5).all(|pair| pair[1] - pair[0] == Duration::from_millis(10)));
        assert_eq!(arrivals.enter(None, START), Err(TooMany::OnNode));
        assert_eq!(arrivals.enter(None, START + Duration::from_millis(10)), Ok(PATIENCE));
    }

    #[test]
    fn a_slow_rate_lets_the_first_in_at_once() {
        let arrivals = arrivals(1, 0);
        let waits = [0, 500, 1_000].map(|wait| Ok(Duration::from_millis(wait)));
        assert_eq!([(); 3].map(|()| arrivals.enter(None, START)), waits);
        assert_eq!(arrivals.enter(None, START), Err(TooMany::OnNode));
    }

    #[test]
    fn an_address_has_a_rate_of_its_own_and_takes_no_turn_of_others_beyond_it() {
        let arrivals = arrivals(1_000, 3);
        let entered = |number, now| (0..9).filter(|_| arrivals.enter(client(number), now).is_ok()).count();
        assert_eq!([entered(1, START), entered(2, START), entered(1, START)], [3, 3, 0]);
        assert_eq!(arrivals.enter(client(1), START), Err(TooMany::OfAddress));
        assert_eq!(entered(1, START + Duration::from_secs(1)), 3);
    }

    #[test]
    fn without_rates_nothing_waits_and_nothing_is_kept() {
        let arrivals = arrivals(0, 0);
        assert!((0..10_000).all(|number| arrivals.enter(client(number), START) == Ok(Duration::ZERO)));
        assert!(arrivals.addresses.lock().unwrap().buckets.is_empty());
    }

    #[test]
    fn addresses_are_forgotten_once_they_may_open_as_many_as_ever() {
        let arrivals = arrivals(0, 10);
        for number in 0..100_000 {
            let now = START + Duration::from_millis(u64::from(number));
            assert!(arrivals.enter(client(number), now).is_ok());
        }
        assert!(arrivals.addresses.lock().unwrap().buckets.len() <= FORGET_FROM);
    }
}
