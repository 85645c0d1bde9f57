//! Case l: what a history costs those who listen, what a page that names itself costs while it is idle, and how fast pages
//! are whole again that come back all at once.

use std::thread;

use super::{
    BenchError, Case, Options,
    cases::{SETTLING, Side, connect_and_weigh, weigh},
    child::Child,
    plan::{COMING, EVENT_BYTES, FanOut, IDLE_CHANNELS, Plan},
    progress,
    report::{Comparison, Report, Row, grouped},
    round::{Figures, Round, column, measure},
    seat::Seat,
    statistics,
    swarm::Swarm,
    target::Target,
};

/// What the server is told that keeps histories. It has just started, and doubts nothing.
const HISTORY: [(&str, &str); 2] = [("GAUNG_APP_HISTORY", "*=120s:1000"), ("GAUNG_PAGE_DOUBT_SECONDS", "0")];

/// What each page has missed that comes back.
const MISSED: u32 = 5;

pub fn measure_case(plan: &Plan, options: &Options, report: &mut Report) -> Result<(), BenchError> {
    plan.fan_out.iter().try_for_each(|load| fan_out(load, plan, options, report))?;
    idle(plan, options, report)?;
    come_back(plan, options, report)
}

/// The same fan-out from channels that keep a history and from such as do not.
fn fan_out(load: &FanOut, plan: &Plan, options: &Options, report: &mut Report) -> Result<(), BenchError> {
    let title = format!("{}, with a history", load.title());
    let (with, without) = (Child::server_with(options, &HISTORY)?, Child::server(options)?);
    let (mut with, mut without) = (Side::new(&with, load)?, Side::new(&without, load)?);
    for side in [&mut with, &mut without] {
        side.connect_and_weigh()?;
        side.fan_out(load.warm_up())?;
    }
    for round in 1..=plan.rounds {
        progress::round(&title, round, plan.rounds);
        with.measure()?;
        without.measure()?;
    }
    let ratio = Comparison::of("no history", with.rounds(), without.rounds(), |round| round.cpu);
    report.aim(&format!("CPU per delivery, {title}"), ratio.ratio, 1.1, "× no history");
    let row = Row::new(Case::Pages, &title, Figures::of(with.rounds()));
    report.rows.push(Row { comparison: Some(ratio), ..row });
    Ok(())
}

/// The memory of an idle page beside that of a socket; also of one that has just come back.
fn idle(plan: &Plan, options: &Options, report: &mut Report) -> Result<(), BenchError> {
    let title =
        format!("{} idle pages on {} channels", grouped(plan.idle_sockets.into()), grouped(IDLE_CHANNELS.into()));
    progress::round(&title, 1, 1);
    let server = Child::server_with(options, &HISTORY)?;
    let target = &server.target;
    let socket = connect_and_weigh(&mut Swarm::new(target)?, target.pid, plan.idle_sockets, IDLE_CHANNELS)?;
    let (page, back) = (weigh_pages(plan, options, false)?, weigh_pages(plan, options, true)?);
    for (title, kib) in [(&title, page), (&format!("{title}, just back"), back)] {
        report.rows.push(Row { resident_kib: Some(kib), ..Row::new(Case::Pages, title, None) });
    }
    report.aim(&format!("Memory beyond a socket's, {title}"), (page - socket).max(0.0), 0.5, "KiB");
    Ok(())
}

/// The resident KiB of each page on a server of their own.
fn weigh_pages(plan: &Plan, options: &Options, returns: bool) -> Result<f64, BenchError> {
    let server = Child::server_with(options, &HISTORY)?;
    let target = &server.target;
    weigh(&mut Swarm::new(target)?, target.pid, plan.idle_sockets, |swarm, numbers| {
        if returns {
            visit(target, numbers.clone(), false)?;
        }
        swarm.seat(numbers.map(|number| (target, page(number, returns))).collect::<Vec<_>>().into_iter())
    })
}

fn page(number: u32, returns: bool) -> Seat {
    Seat::Page { number, channel: number % IDLE_CHANNELS, returns }
}

/// Pages that all come back within a second, each until it is told that it has everything, beside as many that are new.
fn come_back(plan: &Plan, options: &Options, report: &mut Report) -> Result<(), BenchError> {
    let count = plan.pages;
    let title = format!("{} pages come back within a second, to {MISSED} missed events", grouped(count.into()));
    let server = Child::server_with(options, &HISTORY)?;
    let target = &server.target;
    let (mut back, mut new) = (Vec::new(), Vec::new());
    for round in 1..=plan.rounds {
        progress::round(&title, round, plan.rounds);
        let first = round as u32 * count;
        new.push(visit(target, first..first + count, false)?);
        publish(target)?;
        back.push(visit(target, first..first + count, true)?);
    }
    let ratio = Comparison::of("new pages", &back, &new, |round| round.cpu);
    let row = Row::new(Case::Pages, &title, Figures::of(&back));
    report.rows.push(Row { comparison: Some(ratio), ..row });
    let title = format!("{} new pages within a second", grouped(count.into()));
    let [back, all_new] = [&back, &new].map(|rounds| until_all(count, rounds));
    report.notes.push(format!(
        "l: all {} were whole after {back:.2} s, as many new ones after {all_new:.2} s",
        grouped(count.into())
    ));
    report.rows.push(Row::new(Case::Pages, &title, Figures::of(&new)));
    Ok(())
}

/// Seconds until all of so many are whole: the median of the rounds.
fn until_all(count: u32, rounds: &[Round]) -> f64 {
    f64::from(count) / statistics::median(&column(rounds, |round| round.per_second))
}

/// These pages come, each until its subscription is whole, and are cut off.
fn visit(target: &Target, numbers: std::ops::Range<u32>, returns: bool) -> Result<Round, BenchError> {
    let seats: Vec<_> = numbers.map(|number| (target, page(number, returns))).collect();
    let mut swarm = Swarm::new(target)?;
    let round = measure(target.pid, || swarm.seat_within(COMING, seats.into_iter()))?;
    drop(swarm);
    thread::sleep(SETTLING);
    Ok(round)
}

/// An event or more for each channel, which the pages miss.
fn publish(target: &Target) -> Result<(), BenchError> {
    let triggers = target.triggers(IDLE_CHANNELS * MISSED, IDLE_CHANNELS, EVENT_BYTES);
    super::swarm::ask(target, target.public, 1, &triggers).map(drop)
}
