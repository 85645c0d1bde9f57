//! Closes sockets of a node that has more than its share, so that they come to others: looks once a second how the sockets
//! are spread, and does what [`crate::rebalance`] decides.

use std::time::{Duration, Instant};

use gaung_cluster::{
    NodeId,
    core::{Core, PeerStatus},
    frame, peer,
};
use tokio::time::{MissedTickBehavior, interval};

use crate::{
    app::Registry,
    cluster::Cluster,
    config::RebalanceConfig,
    readiness::{self, Readiness},
    rebalance::{Look, Rebalancing, SharedStage, Stage},
    session::registry::{MoveSome, SessionRegistries},
};

/// How often it is looked.
const EVERY: Duration = Duration::from_secs(1);

/// What the rebalancing of a node looks at and acts on.
pub(super) struct Rebalancer {
    pub cluster: Cluster,
    pub registry: Registry,
    pub registries: SessionRegistries,
    pub readiness: Readiness,
    pub shown: SharedStage,
}

/// The other nodes that live.
struct Others {
    sessions: Vec<(NodeId, u64)>,
    /// Whether all of them have started, this one too, and none leaves.
    are_steady: bool,
}

impl Others {
    fn of(core: &Core) -> Self {
        let living: Vec<PeerStatus> = core.peers().filter(|peer| peer.stage != peer::Stage::Dead).collect();
        let is_steady =
            |peer: &PeerStatus| peer.stage == peer::Stage::Live && peer.readiness == frame::Readiness::Ready;
        Self {
            are_steady: core.readiness() == frame::Readiness::Ready && living.iter().all(is_steady),
            sessions: living.iter().map(|peer| (peer.node, peer.sessions)).collect(),
        }
    }
}

impl Rebalancer {
    /// Works until the bus is gone.
    pub(super) async fn run(self, rules: RebalanceConfig) {
        let mut rebalancing = Rebalancing::new(rules);
        let mut ticks = interval(EVERY);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            ticks.tick().await;
            let Some(others) = self.cluster.link().ask(Others::of).await else { return };
            self.rebalance(&mut rebalancing, &others);
            self.show(rebalancing.stage());
        }
    }

    fn rebalance(&self, rebalancing: &mut Rebalancing, others: &Others) {
        let sockets: usize = self.registry.all().iter().map(|app| app.counters.connections()).sum();
        let is_here = self.readiness.stage() == readiness::Stage::Ready && self.cluster.link().status().connected;
        let count = rebalancing.look(&Look {
            now: Instant::now(),
            sessions: sockets as u64,
            others: &others.sessions,
            is_steady: is_here && others.are_steady,
        });
        if count > 0 {
            let part = count as f64 / sockets as f64;
            let registries = self.registries.lock().expect("no thread panics while it signs in");
            registries.iter().for_each(|sessions| sessions.do_send(MoveSome(part)));
        }
    }

    fn show(&self, now: Stage) {
        tell(self.shown.replace(now), now);
    }
}

fn tell(before: Stage, now: Stage) {
    match now {
        _ if now == before => {}
        Stage::Moving => {
            tracing::info!("this node has more sockets than its share; it closes some, which come back to any node");
        }
        Stage::Futile => tracing::warn!(
            "sockets that this node closes come back to it: the balancer sends each client to the same node; no more are \
             closed for ten minutes (GAUNG_REBALANCE_ABOVE)"
        ),
        Stage::Even if before == Stage::Moving => {
            tracing::info!("this node has its share of the sockets, or nodes come and go; it closes no more");
        }
        Stage::Even | Stage::Waiting if before == Stage::Futile => {
            tracing::info!("sockets that this node has beyond its share may be moved again");
        }
        Stage::Even | Stage::Waiting => {}
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::log::heard::HeardLog;

    #[test]
    fn the_log_has_that_moving_is_of_no_use_and_that_it_may_be_again() {
        let (log, _guard) = HeardLog::listen();
        let stages = [Stage::Even, Stage::Waiting, Stage::Futile, Stage::Futile, Stage::Even, Stage::Even];
        stages.windows(2).for_each(|pair| tell(pair[0], pair[1]));
        let text = log.text();
        let levels: Vec<_> = text.lines().map(|line| (line.contains(" WARN "), line.contains(" INFO "))).collect();
        assert_eq!(levels, [(true, false), (false, true)], "{text}");
        assert!(text.contains("come back to it") && text.contains("may be moved again"), "{text}");
    }
}
