//! Case j: small rooms spread over three nodes, one event to each: what a node receives, against each event to each node.

use super::{
    BenchError, Case, Options,
    broker::Broker,
    cluster::{Cluster, Crossed},
    plan::{EVENT_BYTES, ROOM_USERS, ROOMS},
    process::Meter,
    progress,
    report::{Comparison, Report, Row},
    round::{Figures, Sample, measure_each},
    seat::Seat,
    statistics,
    swarm::Swarm,
};

const NODES: usize = 3;
/// What a node may receive beyond the events of the rooms that it serves, as a factor.
const TOLERANCE: f64 = 1.05;

/// Seats the users, sends an event to each room and compares the bytes.
pub fn measure(broker: Broker, options: &Options, report: &mut Report) -> Result<(), BenchError> {
    let title = format!("{ROOMS} rooms of {ROOM_USERS} users on {NODES} nodes");
    let cluster = Cluster::start(broker, NODES, options, &[])?;
    let mut swarm = Swarm::new(cluster.target(0))?;
    let seats: Vec<_> = (0..ROOMS).flat_map(|room| (0..ROOM_USERS).map(move |user| (room, user))).collect();
    swarm.seat(seats.into_iter().map(|(room, user)| (cluster.target(node_of(room, user)), Seat::Channel(room))))?;
    progress::round(&title, 1, 1);
    let idle = cluster.idle()?;
    let nodes: [Meter; NODES] = std::array::from_fn(|index| Meter::Process(cluster.target(index).pid));
    let before = cluster.traffic()?;
    let rounds = measure_each(nodes, || one_event_each(&cluster, &mut swarm))?;
    let after = cluster.traffic()?;
    let ratios = against_everything(&idle.crossed(&before, &after));
    let comparison = Comparison {
        with: "each event to each node",
        ratio: statistics::median(&ratios),
        spread: statistics::spread(&ratios),
    };
    let limit = (served_share() * TOLERANCE * 100.0).round() / 100.0;
    report.aim(&format!("Bytes received per node, {title}"), comparison.ratio, limit, "× each event to each node");
    let received = idle.crossed(&before, &after).received;
    let bytes = received.iter().sum::<f64>() / f64::from(ROOMS) / NODES as f64;
    let cpu = rounds.iter().map(|round| round.cpu).sum();
    let figures = Figures { cpu_us: cpu, ..Figures::of(&rounds[..1]) };
    let row = Row::new(Case::Rooms, &format!("one event to each of {title}, bytes per node"), figures);
    report.rows.push(Row { bus_bytes: Some(bytes), comparison: Some(comparison), ..row });
    Ok(())
}

/// Where a user sits: over the rooms, all ways to spread three users over three nodes come up equally often.
fn node_of(room: u32, user: u32) -> usize {
    (room / (NODES as u32).pow(user)) as usize % NODES
}

/// The part of the rooms that a node serves.
fn served_share() -> f64 {
    let nodes_of = |room| (0..NODES).filter(move |node| (0..ROOM_USERS).any(|user| node_of(room, user) == *node));
    let served: usize = (0..ROOMS).map(|room| nodes_of(room).count()).sum();
    served as f64 / f64::from(ROOMS) / NODES as f64
}

/// Which node is posted to; where a room's users sit has no part in it.
fn posted_to(room: u32) -> usize {
    (room / (NODES as u32).pow(ROOM_USERS)) as usize % NODES
}

fn one_event_each<'t>(cluster: &'t Cluster, swarm: &mut Swarm<'t>) -> Result<Sample, BenchError> {
    let mut all = Sample { count: 0, latencies: Vec::new() };
    for (index, node) in cluster.targets().enumerate() {
        let rooms = (0..ROOMS).filter(|room| posted_to(*room) == index);
        let triggers: Vec<_> =
            rooms.enumerate().map(|(sequence, room)| node.trigger(room, sequence as u32, EVENT_BYTES)).collect();
        swarm.open_publishers(1, node.trigger_address())?;
        all.extend(swarm.fan_out(&triggers, ROOM_USERS)?);
    }
    Ok(all)
}

/// What each node received, in parts of all that was published: each event is published once.
fn against_everything(crossed: &Crossed) -> Vec<f64> {
    let everything: f64 = crossed.published.iter().sum();
    crossed.received.iter().map(|received| received / everything).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nineteen_of_twenty_seven_ways_to_sit_touch_a_node() {
        assert!((served_share() - 19.0 / 27.0).abs() < 0.01, "{}", served_share());
    }

    #[test]
    fn everything_is_what_all_published() {
        let crossed = Crossed { published: vec![100.0, 200.0, 100.0], received: vec![100.0, 200.0, 400.0] };
        assert_eq!(against_everything(&crossed), [0.25, 0.5, 1.0]);
    }
}
