//! Case i: many members of one presence channel over three nodes: how fast they join, and what a join costs the bus when
//! few are there and when many are.

use std::{ops::Range, thread, time::Duration};

use super::{
    BenchError, Case, Options,
    broker::Broker,
    cluster::{Cluster, Idle},
    plan::Plan,
    process::Meter,
    progress,
    report::{Comparison, Report, Row, grouped},
    round::{Figures, Round, measure_each},
    seat::Seat,
    swarm::Swarm,
};

const NODES: usize = 3;
/// By how much the bytes of a join may grow from the first tenth to the last.
const GROWTH_LIMIT: f64 = 1.2;
/// After the last join of a phase, until the bus is looked at: counts are told a quarter of a second late.
const SETTLING: Duration = Duration::from_secs(1);
/// The members' list must fit, and what waits for a socket while all the others join.
const VARIABLES: [(&str, &str); 2] =
    [("GAUNG_APP_MAX_PRESENCE_MEMBERS", "100000"), ("GAUNG_MAX_OUTBOX_BYTES", "67108864")];

/// Lets all members join, and compares the first tenth with the last.
pub fn measure(broker: Broker, plan: &Plan, options: &Options, report: &mut Report) -> Result<(), BenchError> {
    let cluster = Cluster::start(broker, NODES, options, &VARIABLES)?;
    let mut crowd = Crowd { cluster: &cluster, swarm: Swarm::new(cluster.target(0))? };
    // One on each node, so that all nodes know each other before anything is measured.
    let first = NODES as u32;
    crowd.join(0..first)?;
    cluster.await_members(first.into())?;
    let (tenth, last) = (plan.members / 10, first + plan.members);
    let early = crowd.phase(first..first + tenth)?;
    let middle = crowd.phase(first + tenth..last - tenth)?;
    let late = crowd.phase(last - tenth..last)?;
    cluster.await_members(last.into())?;

    let title = format!("{} members join one channel on {NODES} nodes", grouped(plan.members.into()));
    let growth = Comparison { with: "the bytes of the first", ratio: late.bytes / early.bytes, spread: 0.0 };
    report.aim(&format!("Growth of bus bytes per join, {title}"), growth.ratio, GROWTH_LIMIT, "× the first tenth");
    let all = [&early, &middle, &late];
    report.rows.push(Row::new(Case::Members, &title, Figures::of(&[together(&all)])));
    for (phase, which, comparison) in [(&early, "first", None), (&late, "last", Some(growth))] {
        let title = format!("the {which} {} of them", grouped(tenth.into()));
        let row = Row::new(Case::Members, &title, Figures::of(&[phase.round]));
        report.rows.push(Row { bus_bytes: Some(phase.bytes), comparison, ..row });
    }
    Ok(())
}

/// What the joins of a phase came to.
struct Phase {
    joins: f64,
    round: Round,
    /// Published and received by all nodes, per join, without beats.
    bytes: f64,
}

struct Crowd<'t> {
    cluster: &'t Cluster,
    swarm: Swarm<'t>,
}

impl Crowd<'_> {
    fn phase(&mut self, users: Range<u32>) -> Result<Phase, BenchError> {
        let joins = f64::from(users.end - users.start);
        progress::note(&format!(
            "members of one channel: {} to {}",
            grouped(users.start.into()),
            grouped(users.end.into())
        ));
        let idle: Idle = self.cluster.idle()?;
        let before = self.cluster.traffic()?;
        let round = self.join(users)?;
        thread::sleep(SETTLING);
        let after = self.cluster.traffic()?;
        Ok(Phase { joins, round, bytes: idle.crossed(&before, &after).total() / joins })
    }

    /// Seats the users, each on the next node; the CPU time is that of all nodes.
    fn join(&mut self, users: Range<u32>) -> Result<Round, BenchError> {
        let cluster = self.cluster;
        let seats = users.map(|user| (cluster.target(user as usize % NODES), Seat::Member(user)));
        let nodes: [Meter; NODES] = std::array::from_fn(|index| Meter::Process(cluster.target(index).pid));
        let rounds = measure_each(nodes, || self.swarm.seat(seats))?;
        Ok(Round { cpu: rounds.iter().map(|round| round.cpu).sum(), ..rounds[0] })
    }
}

/// The rate and the CPU time of several phases, one after the other; latencies are those of the last.
fn together(phases: &[&Phase]) -> Round {
    let joins: f64 = phases.iter().map(|phase| phase.joins).sum();
    let seconds: f64 = phases.iter().map(|phase| phase.joins / phase.round.per_second).sum();
    let cpu: f64 = phases.iter().map(|phase| phase.joins * phase.round.cpu).sum();
    let last = phases.last().map_or(Round::default(), |phase| phase.round);
    Round { per_second: joins / seconds, cpu: cpu / joins, ..last }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn phase(joins: f64, per_second: f64, cpu: f64) -> Phase {
        Phase { joins, round: Round { per_second, p50: 1.0, p99: 1.0, cpu }, bytes: 0.0 }
    }

    #[test]
    fn phases_together_have_the_mean_rate_and_cost() {
        let all = together(&[&phase(100.0, 100.0, 1.0), &phase(100.0, 50.0, 3.0)]);
        assert_eq!((all.per_second.round(), all.cpu), (67.0, 2.0));
    }
}
