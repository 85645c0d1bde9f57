//! The cases: what each connects, sends and compares.

use std::{ops::Range, thread, time::Duration};

use super::{
    BenchError, Case, Options,
    broker::Broker,
    builds,
    child::{self, Child},
    members, pages, pair,
    plan::{EVENT_BYTES, FanOut, IDLE_CHANNELS, Plan, STALL_EVENT_BYTES, TRIGGER_CONNECTIONS},
    process, progress,
    report::{Comparison, Report, Row, grouped},
    rooms,
    round::{Figures, Round, Sample, measure},
    scrape,
    swarm::{self, Swarm},
    target::Target,
    tls,
};

/// Sockets that connect before memory is first read, so that what a server allocates once is not counted per socket.
const FIRST_SOCKETS: u32 = 100;
/// After the last of many connects, until memory is read again: what is merely in passing is gone by then.
pub const SETTLING: Duration = Duration::from_millis(500);

/// Measures one case and puts its rows and goals into the report.
pub fn measure_case(case: Case, plan: &Plan, options: &Options, report: &mut Report) -> Result<(), BenchError> {
    match case {
        Case::FanOut => plan.fan_out.iter().try_for_each(|load| fan_out(case, load, plan, options, report)),
        Case::Channels => plan.channels.iter().try_for_each(|load| fan_out(case, load, plan, options, report)),
        Case::Idle => idle(plan, options, report),
        Case::Triggers => {
            TRIGGER_CONNECTIONS.into_iter().try_for_each(|connections| triggers(connections, plan, options, report))
        }
        Case::Connects => connects(plan, options, report),
        Case::Stall => stall(plan, options, report),
        Case::Pair => in_cluster(case, options, report, |broker, report| pair::measure(broker, plan, options, report)),
        Case::Members => {
            in_cluster(case, options, report, |broker, report| members::measure(broker, plan, options, report))
        }
        Case::Rooms => in_cluster(case, options, report, |broker, report| rooms::measure(broker, options, report)),
        Case::Scrape => scrape::measure(plan, options, report),
        Case::Pages => pages::measure_case(plan, options, report),
        Case::Builds => builds::measure(plan, options, report),
        Case::Tls => tls::measure_case(plan, options, report),
    }
}

/// Starts a broker for a case that needs one; without the program, the report says that the case is missing.
fn in_cluster(
    case: Case,
    options: &Options,
    report: &mut Report,
    measure: impl FnOnce(Broker, &mut Report) -> Result<(), BenchError>,
) -> Result<(), BenchError> {
    match Broker::start(&options.nats_server)? {
        Some(broker) => measure(broker, report),
        None => {
            let program = options.nats_server.display();
            let note = format!("{} is left out: there is no {program}; --nats-server names one", case.letter());
            progress::note(&note);
            report.notes.push(note);
            Ok(())
        }
    }
}

fn server(options: &Options) -> Result<Child, BenchError> {
    match (options.pid, options.url, options.admin_url) {
        (Some(pid), Some(public), Some(admin)) => {
            Ok(Child::running(Target::new(pid, public, admin, child::dialect(options))))
        }
        (_, _, _) => Child::server(options),
    }
}

fn fan_out(case: Case, load: &FanOut, plan: &Plan, options: &Options, report: &mut Report) -> Result<(), BenchError> {
    let title = load.title();
    let (server, floor) = (server(options)?, Child::floor()?);
    let (mut server_side, mut floor_side) = (Side::new(&server, load)?, Side::new(&floor, load)?);
    let resident_kib = server_side.connect_and_weigh()?;
    floor_side.swarm.connect(load.sockets, load.channels)?;
    server_side.fan_out(load.warm_up())?;
    floor_side.fan_out(load.warm_up())?;
    for round in 1..=plan.rounds {
        progress::round(&title, round, plan.rounds);
        server_side.measure()?;
        floor_side.measure()?;
    }
    let ratio = Comparison::of("the floor", &server_side.rounds, &floor_side.rounds, |round| round.cpu);
    aim_at_the_floor(case, load, &title, ratio.ratio, report);
    let row = Row::new(case, &title, Figures::of(&server_side.rounds));
    report.rows.push(Row { resident_kib: Some(resident_kib), comparison: Some(ratio), ..row });
    report.rows.push(Row::new(case, &format!("{title}: the floor"), Figures::of(&floor_side.rounds)));
    Ok(())
}

fn aim_at_the_floor(case: Case, load: &FanOut, title: &str, ratio: f64, report: &mut Report) {
    if case == Case::FanOut {
        let limit = if load.in_flight == 1 { 1.25 } else { 0.35 };
        report.aim(&format!("CPU per delivery, {title}"), ratio, limit, "× the floor");
    }
}

/// One of the two that take turns.
pub struct Side<'t> {
    target: &'t Target,
    swarm: Swarm<'t>,
    load: &'t FanOut,
    rounds: Vec<Round>,
}

impl<'t> Side<'t> {
    pub fn new(child: &'t Child, load: &'t FanOut) -> Result<Self, BenchError> {
        Ok(Self { target: &child.target, swarm: Swarm::new(&child.target)?, load, rounds: Vec::new() })
    }

    /// Connects all sockets; returns the resident KiB of each.
    pub fn connect_and_weigh(&mut self) -> Result<f64, BenchError> {
        connect_and_weigh(&mut self.swarm, self.target.pid, self.load.sockets, self.load.channels)
    }

    /// Sends triggers without measuring.
    pub fn fan_out(&mut self, count: u32) -> Result<Sample, BenchError> {
        let triggers = self.target.triggers(count, self.load.channels, EVENT_BYTES);
        self.swarm.open_publishers(self.load.in_flight, self.target.trigger_address())?;
        self.swarm.fan_out(&triggers, self.load.readers())
    }

    pub fn rounds(&self) -> &[Round] {
        &self.rounds
    }

    pub fn measure(&mut self) -> Result<(), BenchError> {
        let triggers = self.target.triggers(self.load.triggers(), self.load.channels, EVENT_BYTES);
        self.swarm.open_publishers(self.load.in_flight, self.target.trigger_address())?;
        self.rounds.push(measure(self.target.pid, || self.swarm.fan_out(&triggers, self.load.readers()))?);
        Ok(())
    }
}

/// Connects `count` sockets and returns the KiB that the process grew for each, without the first ones.
pub fn connect_and_weigh(swarm: &mut Swarm<'_>, pid: u32, count: u32, channels: u32) -> Result<f64, BenchError> {
    weigh(swarm, pid, count, |swarm, numbers| swarm.connect(numbers.len() as u32, channels))
}

/// The same for connections that are made otherwise.
pub fn weigh<'t>(
    swarm: &mut Swarm<'t>,
    pid: u32,
    count: u32,
    mut connect: impl FnMut(&mut Swarm<'t>, Range<u32>) -> Result<Sample, BenchError>,
) -> Result<f64, BenchError> {
    let first = FIRST_SOCKETS.min(count / 2);
    connect(swarm, 0..first)?;
    let before = resident_kib(pid)?;
    connect(swarm, first..count)?;
    thread::sleep(SETTLING);
    Ok(resident_kib(pid)?.saturating_sub(before) as f64 / f64::from(count - first))
}

fn resident_kib(pid: u32) -> Result<u64, BenchError> {
    process::resident_kib(pid).map_err(|error| BenchError::io("reading the memory of the measured process", error))
}

fn idle(plan: &Plan, options: &Options, report: &mut Report) -> Result<(), BenchError> {
    for channels in [IDLE_CHANNELS, plan.idle_sockets] {
        let title =
            format!("{} idle sockets on {} channels", grouped(plan.idle_sockets.into()), grouped(channels.into()));
        progress::round(&title, 1, 1);
        let server = server(options)?;
        let mut swarm = Swarm::new(&server.target)?;
        let kib = connect_and_weigh(&mut swarm, server.target.pid, plan.idle_sockets, channels)?;
        report.rows.push(Row { resident_kib: Some(kib), ..Row::new(Case::Idle, &title, None) });
        if channels == IDLE_CHANNELS {
            report.aim(&format!("Memory per connection, {title}"), kib, 3.0, "KiB");
        }
    }
    Ok(())
}

fn triggers(connections: usize, plan: &Plan, options: &Options, report: &mut Report) -> Result<(), BenchError> {
    let title = format!("verified triggers to nobody, {connections} at a time");
    let server = server(options)?;
    let target = &server.target;
    let verified = target.triggers(plan.triggers, 1, EVENT_BYTES);
    let noops = target.noops(plan.triggers, EVENT_BYTES);
    let (mut verified_rounds, mut noop_rounds) = (Vec::new(), Vec::new());
    // The first round of both warms up.
    for round in 0..=plan.short_rounds {
        progress::round(&title, round, plan.short_rounds);
        verified_rounds.push(swarm::ask(target, target.public, connections, &verified)?);
        noop_rounds.push(swarm::ask(target, target.admin, connections, &noops)?);
    }
    let (verified_rounds, noop_rounds) = (&verified_rounds[1..], &noop_rounds[1..]);
    let ratio = Comparison::of("POST /noop", verified_rounds, noop_rounds, |round| round.cpu);
    report.aim(&format!("CPU per trigger, {title}"), ratio.ratio, 1.5, "× POST /noop");
    let row = Row::new(Case::Triggers, &title, Figures::of(verified_rounds));
    report.rows.push(Row { comparison: Some(ratio), ..row });
    let title = format!("POST /noop, {connections} at a time");
    report.rows.push(Row::new(Case::Triggers, &title, Figures::of(noop_rounds)));
    Ok(())
}

fn connects(plan: &Plan, options: &Options, report: &mut Report) -> Result<(), BenchError> {
    let title = "connects and subscribes";
    let server = server(options)?;
    let mut swarm = Swarm::new(&server.target)?;
    swarm.connect(FIRST_SOCKETS, 1)?;
    let mut rounds = Vec::new();
    for round in 1..=plan.rounds {
        progress::round(title, round, plan.rounds);
        rounds.push(measure(server.target.pid, || swarm.connect(plan.connects, 1))?);
    }
    report.rows.push(Row::new(Case::Connects, title, Figures::of(&rounds)));
    Ok(())
}

fn stall(plan: &Plan, options: &Options, report: &mut Report) -> Result<(), BenchError> {
    let readers = plan.stall_readers;
    let title = format!("{} readers beside one that stops reading", grouped(readers.into()));
    let server = server(options)?;
    let target = &server.target;
    let mut swarm = Swarm::new(target)?;
    swarm.connect(readers, 1)?;
    let (mut beside, mut alone) = (Vec::new(), Vec::new());
    for round in 0..=plan.rounds {
        progress::round(&title, round, plan.rounds);
        alone.push(one_large_event_at_a_time(&mut swarm, target, plan)?);
        swarm.connect(1, 1)?;
        let stalled = swarm.abandon_last();
        beside.push(one_large_event_at_a_time(&mut swarm, target, plan)?);
        let cut = stalled.is_some_and(|mut socket| socket.drain(&mut vec![0; 65_536]));
        progress::note(&format!("  the silent socket was {}", if cut { "closed by the server" } else { "still open" }));
    }
    let (beside, alone) = (&beside[1..], &alone[1..]);
    let ratio = Comparison::of("p99 without it", beside, alone, |round| round.p99);
    report.aim("p99 of the others beside a reader that stops", ratio.ratio, 1.1, "× without it");
    let row = Row::new(Case::Stall, &title, Figures::of(beside));
    report.rows.push(Row { comparison: Some(ratio), ..row });
    let title = format!("{} readers without it", grouped(readers.into()));
    report.rows.push(Row::new(Case::Stall, &title, Figures::of(alone)));
    Ok(())
}

fn one_large_event_at_a_time(swarm: &mut Swarm<'_>, target: &Target, plan: &Plan) -> Result<Round, BenchError> {
    let triggers = target.triggers(plan.stall_events, 1, STALL_EVENT_BYTES);
    swarm.open_publishers(1, target.trigger_address())?;
    measure(target.pid, || swarm.fan_out(&triggers, plan.stall_readers))
}
