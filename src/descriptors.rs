//! How the file descriptors of the process are shared out, so that a node full of sockets still answers requests, and one
//! full of both still answers its operator. Pure.

/// What a thread needs for itself: its event queue and what wakes it, with room to spare.
const OF_A_THREAD: u64 = 6;

/// What the process needs whatever it serves: the log, listeners, files, NATS, and the admin port's connections.
const OF_THE_PROCESS: u64 = 64;

/// The threads besides those of the public listener and the rooms.
const OTHER_THREADS: u64 = 6;

/// The fewest sockets for which a server is worth starting, and the fewest requests beside them.
const LEAST: u64 = 32;

/// What sockets and requests may have of the descriptors. The rest is for the process itself, its posts to other servers
/// and the admin port.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Shares {
    pub limit: u64,
    pub sockets: u64,
    /// Connections of the public port that are no sockets, or none yet: an eighth.
    pub requests: u64,
}

/// The descriptors do not reach even for a small server. The operator must raise their limit.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error(
    "the process may open {limit} file descriptors, and needs some {least} with so many threads; raise the limit \
    (ulimit -n, LimitNOFILE) or lower GAUNG_HTTP_THREADS and GAUNG_ROOM_THREADS"
)]
pub struct TooFew {
    limit: u64,
    least: u64,
}

impl Shares {
    /// Shares `limit` descriptors out, for a node with so many threads that serve sockets or rooms.
    pub fn of(limit: u64, threads: usize) -> Result<Self, TooFew> {
        let fixed = OF_THE_PROCESS + OF_A_THREAD * (threads as u64 + OTHER_THREADS);
        // The fiftieth part is for what grows with the load: posts of webhooks, questions to the application.
        let reserve = fixed + limit / 50;
        let requests = (limit / 8).max(LEAST);
        let sockets = limit.saturating_sub(reserve + requests);
        if sockets < LEAST {
            // A fifth more than what does not grow with the limit is enough for what does.
            return Err(TooFew { limit, least: ((fixed + 2 * LEAST) * 6).div_ceil(5) });
        }
        Ok(Self { limit, sockets, requests })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn most_descriptors_are_for_sockets_and_some_are_for_nobody_else() {
        for (limit, threads, sockets, requests) in
            [(256, 2, 107, 32), (1_024, 2, 764, 128), (20_000, 2, 16_988, 2_500), (1_048_576, 64, 896_049, 131_072)]
        {
            let shares = Shares::of(limit, threads);
            assert_eq!(shares, Ok(Shares { limit, sockets, requests }));
            assert!(sockets + requests + OF_THE_PROCESS < limit);
        }
        assert!(Shares::of(u64::MAX, 2).is_ok());
    }

    #[test]
    fn too_few_descriptors_are_refused_with_what_would_do() {
        let too_few = Shares::of(128, 2).unwrap_err();
        assert_eq!(
            too_few.to_string(),
            "the process may open 128 file descriptors, and needs some 212 with so many threads; raise the limit \
             (ulimit -n, LimitNOFILE) or lower GAUNG_HTTP_THREADS and GAUNG_ROOM_THREADS"
        );
        for threads in [2, 8, 128, 1_536] {
            let too_few = Shares::of(128, threads).unwrap_err();
            assert!(Shares::of(too_few.least, threads).is_ok(), "{too_few}");
        }
    }
}
