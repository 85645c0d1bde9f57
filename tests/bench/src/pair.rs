//! Case h: events posted to node A and read on node B, beside the same on one node that is alone.

use std::{
    thread,
    time::{Duration, Instant},
};

use super::{
    BenchError, Case, Options,
    broker::Broker,
    child::Child,
    cluster::Cluster,
    plan::{CROSSING_CHANNELS, EVENT_BYTES, FanOut, PAUSE, Plan, TRIGGER_CONNECTIONS},
    process::Meter,
    progress,
    report::{Comparison, Report, Row},
    round::{self, Figures, Round, Sample, column, measure_each},
    statistics,
    swarm::Swarm,
    target::Target,
};
use gaung::cluster::BUS_THREAD;

/// Microseconds of CPU that the bus may cost a node for an event that crosses it.
const BUS_LIMIT: f64 = 10.0;
/// Milliseconds that the way over the bus may add to the median.
const ADDED_LIMIT: f64 = 1.0;

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
        let title = load.title();
        let (mut pair, mut single) = (Way::open(self.a, self.b, load)?, Way::open(self.alone, self.alone, load)?);
        let (mut on_a, mut on_b, mut on_one) = (Vec::new(), Vec::new(), Vec::new());
        // The first round of both warms up.
        for round in 0..=rounds {
            progress::round(&format!("from node to node, {title}"), round, rounds);
            let [a, b] = measure_each([self.a.pid, self.b.pid].map(Meter::Process), || pair.run())?;
            let one = round::measure(self.alone.pid, || single.run())?;
            if round > 0 {
                on_a.push(a);
                on_b.push(b);
                on_one.push(one);
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

    /// What an event that crosses the bus costs each of the two: on the bus thread, and on the whole node beyond what it
    /// would cost without a bus. The latter is a difference, and holds also what nodes that share cores cost each other.
    /// The node alone is sent its bursts at the pace of the two: one that has time to fall asleep between them pays more.
    /// - A: its CPU per trigger, less that of a node alone whose trigger nobody hears. A has no readers either; what is
    ///   left is encoding for the bus, the bus thread, and the way to nats-server.
    /// - B: its CPU per event, less what a node alone pays per event for the room and its one reader: that is its CPU per
    ///   trigger with one reader in each room, less that of a trigger that nobody hears.
    fn crossings(&self, in_flight: usize, plan: &Plan, report: &mut Report) -> Result<(), BenchError> {
        let title = format!("{in_flight} in flight, {CROSSING_CHANNELS} rooms with a reader each");
        let mut pair = Crossing::open(self.a, self.b, in_flight)?;
        let mut single = Crossing::open(self.alone, self.alone, in_flight)?;
        let (mut on_a, mut on_b, mut heard, mut unheard) = (Vec::new(), Vec::new(), Vec::new(), Vec::new());
        let (mut bus_of_a, mut bus_of_b) = (Vec::new(), Vec::new());
        let bus = |node: &Target| Meter::Thread(node.pid, BUS_THREAD);
        let meters = [Meter::Process(self.a.pid), Meter::Process(self.b.pid), bus(self.a), bus(self.b)];
        for round in 0..=plan.rounds {
            progress::round(&format!("what crosses, {title}"), round, plan.rounds);
            let [a, b, its_bus, bus_beyond] = measure_each(meters, || pair.run(plan.crossings))?;
            let pace = Duration::from_secs_f64(in_flight as f64 / a.per_second);
            let one = round::measure(self.alone.pid, || single.run_at(pace, plan.crossings))?;
            let nobody = round::measure(self.alone.pid, || single.run_unheard_at(pace, plan.crossings))?;
            if round > 0 {
                on_a.push(a);
                on_b.push(b);
                bus_of_a.push(its_bus.cpu);
                bus_of_b.push(bus_beyond.cpu);
                heard.push(one);
                unheard.push(nobody);
            }
        }
        let of_a = differences(&on_a, &unheard, |round| round.cpu);
        let of_reader = differences(&heard, &unheard, |round| round.cpu);
        let of_b: Vec<f64> = on_b.iter().zip(of_reader).map(|(b, reader)| b.cpu - reader).collect();
        for (what, costs) in [
            ("bus thread on A, which publishes", bus_of_a),
            ("bus thread on B, which receives", bus_of_b),
            ("bus on A, its thread and all else", of_a),
            ("bus on B, its thread and all else", of_b),
        ] {
            let text = format!("the {what}, per event, {in_flight} in flight");
            report.aim(&text, statistics::median(&costs), BUS_LIMIT, "µs of CPU");
        }
        let rows = [
            ("A: a trigger that crosses", on_a),
            ("B: an event that comes", on_b),
            ("alone, at that pace: a trigger that is heard", heard),
            ("alone, at that pace: a trigger that nobody hears", unheard),
        ];
        report
            .rows
            .extend(rows.map(|(who, rounds)| Row::new(Case::Pair, &format!("{who}, {title}"), Figures::of(&rounds))));
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
        let (load, swarm) = (self.load, &mut self.swarm);
        let triggers = self.posted_to.triggers(load.triggers(), load.channels, EVENT_BYTES);
        swarm.open_publishers(load.in_flight, self.posted_to.trigger_address())?;
        match load.in_flight {
            // Everything comes to rest before each event. Always the first one: a fan-out counts its events from zero.
            1 => in_turn(triggers.iter().map(|_| &triggers[..1]), |trigger| {
                thread::sleep(PAUSE);
                swarm.fan_out(trigger, load.readers())
            }),
            _ => swarm.fan_out(&triggers, load.readers()),
        }
    }
}

/// Triggers in bursts of what is in flight, each burst done before the next, so that a node finds as many at once
/// whatever else takes part in it. Each goes to a room with one reader.
struct Crossing<'t> {
    swarm: Swarm<'t>,
    posted_to: &'t Target,
    in_flight: usize,
}

impl<'t> Crossing<'t> {
    fn open(posted_to: &'t Target, read_on: &'t Target, in_flight: usize) -> Result<Self, BenchError> {
        let mut swarm = Swarm::new(read_on)?;
        swarm.connect(CROSSING_CHANNELS, CROSSING_CHANNELS)?;
        Ok(Self { swarm, posted_to, in_flight })
    }

    /// Each burst as soon as the one before it is done.
    fn run(&mut self, count: u32) -> Result<Sample, BenchError> {
        self.run_at(Duration::ZERO, count)
    }

    /// A burst begins so much after the one before it, or when that is done.
    fn run_at(&mut self, pace: Duration, count: u32) -> Result<Sample, BenchError> {
        let triggers = self.triggers(0, count)?;
        in_turn(triggers.chunks(self.in_flight), |burst| paced(pace, || self.swarm.fan_out(burst, 1)))
    }

    /// To rooms without readers.
    fn run_unheard_at(&mut self, pace: Duration, count: u32) -> Result<Sample, BenchError> {
        let triggers = self.triggers(CROSSING_CHANNELS, count)?;
        in_turn(triggers.chunks(self.in_flight), |burst| paced(pace, || self.swarm.ask(burst)))
    }

    /// Triggers to all rooms from number `first` on, each numbered within its burst; and who sends them.
    fn triggers(&mut self, first: u32, count: u32) -> Result<Vec<Vec<u8>>, BenchError> {
        self.swarm.open_publishers(self.in_flight, self.posted_to.trigger_address())?;
        let trigger = |number| {
            let (channel, sequence) = (first + number % CROSSING_CHANNELS, number % self.in_flight as u32);
            self.posted_to.trigger(channel, sequence, EVENT_BYTES)
        };
        Ok((0..count).map(trigger).collect())
    }
}

/// Takes at least so long.
fn paced(pace: Duration, send: impl FnOnce() -> Result<Sample, BenchError>) -> Result<Sample, BenchError> {
    let begun = Instant::now();
    let sample = send()?;
    thread::sleep(pace.saturating_sub(begun.elapsed()));
    Ok(sample)
}

/// Samples that are taken one after the other, as one.
fn in_turn<'a>(
    bursts: impl Iterator<Item = &'a [Vec<u8>]>,
    mut send: impl FnMut(&'a [Vec<u8>]) -> Result<Sample, BenchError>,
) -> Result<Sample, BenchError> {
    let mut all = Sample { count: 0, latencies: Vec::new() };
    for burst in bursts {
        all.extend(send(burst)?);
    }
    Ok(all)
}

fn differences(rounds: &[Round], others: &[Round], figure: fn(&Round) -> f64) -> Vec<f64> {
    column(rounds, figure).iter().zip(column(others, figure)).map(|(value, other)| value - other).collect()
}
