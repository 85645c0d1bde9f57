//! Case h: events posted to node A and read on node B, beside the same on one node that is alone.

use std::thread;

use super::{
    BenchError, Case, Options,
    broker::Broker,
    cases::{fan_out_title, progress},
    child::Child,
    cluster::Cluster,
    plan::{CROSSING_CHANNELS, EVENT_BYTES, FanOut, PAUSE, Plan, TRIGGER_CONNECTIONS},
    report::{Comparison, Report, Row},
    round::{self, Figures, Round, Sample, column, measure_each},
    statistics,
    swarm::Swarm,
    target::Target,
};

/// Microseconds of CPU that the bus may cost a node for an event that crosses it.
const BUS_LIMIT: f64 = 10.0;
/// Milliseconds that the way over the bus may add to the median.
const ADDED_LIMIT: f64 = 1.0;
/// Events that may be on their way where the costs of the bus are measured, for each trigger in flight: what counts is
/// how fast A takes triggers, not how long an event travels.
const WINDOW: usize = 64;

/// Measures the pair beside the single node.
pub fn measure(broker: Broker, plan: &Plan, options: &Options, report: &mut Report) -> Result<(), BenchError> {
    let (cluster, alone) = (Cluster::start(broker, 2, options, &[])?, Child::server(options)?);
    let nodes = Nodes { a: cluster.target(0), b: cluster.target(1), alone: &alone.target };
    plan.pair.iter().try_for_each(|load| nodes.fan_out(load, plan.rounds, report))?;
    TRIGGER_CONNECTIONS.into_iter().try_for_each(|in_flight| nodes.crossings(in_flight, plan, report))
}

/// The three under test.
struct Nodes<'t> {
    /// Is posted to.
    a: &'t Target,
    /// Has the readers.
    b: &'t Target,
    /// Has both.
    alone: &'t Target,
}

impl Nodes<'_> {
    fn fan_out(&self, load: &FanOut, rounds: usize, report: &mut Report) -> Result<(), BenchError> {
        let title = fan_out_title(load);
        let (mut pair, mut single) = (Way::open(self.a, self.b, load)?, Way::open(self.alone, self.alone, load)?);
        let (mut on_a, mut on_b, mut on_one) = (Vec::new(), Vec::new(), Vec::new());
        // The first round of both warms up.
        for round in 0..=rounds {
            progress(&format!("from node to node, {title}"), round, rounds);
            let [a, b] = measure_each([self.a.pid, self.b.pid], || pair.run())?;
            let one = round::measure(self.alone.pid, || single.run())?;
            if round > 0 {
                (on_a.push(a), on_b.push(b), on_one.push(one));
            }
        }
        let ratio = match load.in_flight {
            1 => Comparison::of("the p50 on one node", &on_b, &on_one, |round| round.p50),
            _ => Comparison::of("the rate on one node", &on_b, &on_one, |round| round.per_second),
        };
        let row = Row::new(Case::Pair, &format!("posted to A, on B {title}: B"), Figures::of(&on_b));
        report.rows.push(Row { comparison: Some(ratio), ..row });
        report.rows.push(Row::new(Case::Pair, &format!("posted to A, on B {title}: A"), Figures::of(&on_a)));
        report.rows.push(Row::new(Case::Pair, &format!("the same on one node, {title}"), Figures::of(&on_one)));
        if load.in_flight == 1 {
            let added = differences(&on_b, &on_one, |round| round.p50);
            report.aim(&format!("p50 added by the bus, {title}"), statistics::median(&added) / 1e3, ADDED_LIMIT, "ms");
        }
        Ok(())
    }

    /// What an event that crosses the bus costs each of the two, beyond what it would cost without a bus:
    /// - A: its CPU per trigger, less that of a node alone whose trigger nobody hears. A has no readers either; what is
    ///   left is encoding for the bus, the bus thread, and the way to nats-server.
    /// - B: its CPU per event, less what a node alone pays per event for the room and its one reader: that is its CPU per
    ///   trigger with one reader in each room, less that of a trigger that nobody hears.
    fn crossings(&self, in_flight: usize, plan: &Plan, report: &mut Report) -> Result<(), BenchError> {
        let title = format!("per event, {in_flight} in flight, {CROSSING_CHANNELS} rooms with a reader each");
        let mut pair = Crossing::open(self.a, self.b, in_flight, plan.crossings)?;
        let mut single = Crossing::open(self.alone, self.alone, in_flight, plan.crossings)?;
        let mut unheard = Swarm::new(self.alone)?;
        let nobody = self.alone.triggers_from(CROSSING_CHANNELS, plan.crossings, CROSSING_CHANNELS, EVENT_BYTES);
        let (mut on_a, mut on_b) = (Vec::new(), Vec::new());
        for round in 0..=plan.rounds {
            progress(&format!("the bus {title}"), round, plan.rounds);
            let [a, b] = measure_each([self.a.pid, self.b.pid], || pair.run())?;
            let heard = round::measure(self.alone.pid, || single.run())?;
            unheard.open_publishers(in_flight, self.alone.trigger_address())?;
            let trigger = round::measure(self.alone.pid, || unheard.ask(&nobody))?;
            if round > 0 {
                on_a.push(Round { cpu: a.cpu - trigger.cpu, ..a });
                on_b.push(Round { cpu: b.cpu - (heard.cpu - trigger.cpu), ..b });
            }
        }
        for (node, rounds) in [("A, which publishes", on_a), ("B, which receives", on_b)] {
            let (title, figures) = (format!("the bus on {node}, {title}"), Figures::of(&rounds));
            report.aim(&title, figures.cpu_us, BUS_LIMIT, "µs of CPU");
            report.rows.push(Row::new(Case::Pair, &title, figures));
        }
        Ok(())
    }
}

/// Readers on one node and triggers to another, or to the same.
struct Way<'t> {
    swarm: Swarm<'t>,
    posted_to: &'t Target,
    load: &'t FanOut,
}

impl<'t> Way<'t> {
    fn open(posted_to: &'t Target, read_on: &'t Target, load: &'t FanOut) -> Result<Self, BenchError> {
        let mut swarm = Swarm::new(read_on)?;
        swarm.connect(load.sockets, load.channels)?;
        Ok(Self { swarm, posted_to, load })
    }

    fn run(&mut self) -> Result<Sample, BenchError> {
        let triggers = self.posted_to.triggers(self.load.triggers(), self.load.channels, EVENT_BYTES);
        self.swarm.open_publishers(self.load.in_flight, self.posted_to.trigger_address())?;
        match self.load.in_flight {
            1 => self.run_paced(&triggers),
            _ => self.swarm.fan_out(&triggers, self.load.readers()),
        }
    }

    /// Lets everything come to rest before each event.
    fn run_paced(&mut self, triggers: &[Vec<u8>]) -> Result<Sample, BenchError> {
        let mut all = Sample { count: 0, latencies: Vec::new() };
        // Always the first one, since a fan-out counts its events from zero.
        for _ in triggers {
            thread::sleep(PAUSE);
            let sample = self.swarm.fan_out(&triggers[..1], self.load.readers())?;
            all.count += sample.count;
            all.latencies.extend(sample.latencies);
        }
        Ok(all)
    }
}

/// As many triggers as are answered, each to a room with one reader.
struct Crossing<'t> {
    swarm: Swarm<'t>,
    posted_to: &'t Target,
    in_flight: usize,
    triggers: Vec<Vec<u8>>,
}

impl<'t> Crossing<'t> {
    fn open(posted_to: &'t Target, read_on: &'t Target, in_flight: usize, count: u32) -> Result<Self, BenchError> {
        let mut swarm = Swarm::new(read_on)?;
        swarm.connect(CROSSING_CHANNELS, CROSSING_CHANNELS)?;
        let triggers = posted_to.triggers(count, CROSSING_CHANNELS, EVENT_BYTES);
        Ok(Self { swarm, posted_to, in_flight, triggers })
    }

    fn run(&mut self) -> Result<Sample, BenchError> {
        self.swarm.open_publishers(self.in_flight, self.posted_to.trigger_address())?;
        let window = if self.in_flight == 1 { 1 } else { self.in_flight * WINDOW };
        self.swarm.fan_out_within(window, &self.triggers, 1)
    }
}

fn differences(rounds: &[Round], others: &[Round], figure: fn(&Round) -> f64) -> Vec<f64> {
    column(rounds, figure).iter().zip(column(others, figure)).map(|(value, other)| value - other).collect()
}
