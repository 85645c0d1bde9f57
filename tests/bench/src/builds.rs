//! Case m: what the same costs another build of the server, in the same run.

use super::{
    BenchError, Case, Options,
    cases::Side,
    child::Child,
    plan::{FanOut, Plan},
    progress,
    report::{Comparison, Report, Row},
    round::Figures,
};

/// What an event may cost beyond what it costs the other build, as a factor.
const LIMIT: f64 = 1.02;

/// Fans out on both, one after the other, each first in every other round.
pub fn measure(plan: &Plan, options: &Options, report: &mut Report) -> Result<(), BenchError> {
    if options.beside.is_none() {
        report.notes.push("m is left out: --beside names the other build".to_owned());
        return Ok(());
    }
    plan.fan_out.iter().chain(&plan.channels).try_for_each(|load| fan_out(load, plan, options, report))
}

fn fan_out(load: &FanOut, plan: &Plan, options: &Options, report: &mut Report) -> Result<(), BenchError> {
    let title = load.title();
    let other = Options { server: options.beside.clone(), ..options.clone() };
    let (this, other) = (Child::server(options)?, Child::server(&other)?);
    let (mut this, mut other) = (Side::new(&this, load)?, Side::new(&other, load)?);
    for side in [&mut this, &mut other] {
        side.connect_and_weigh()?;
        side.fan_out(load.warm_up())?;
    }
    for round in 1..=plan.short_rounds {
        progress::round(&title, round, plan.short_rounds);
        let mut sides = [&mut this, &mut other];
        sides.rotate_left(round % 2);
        sides.into_iter().try_for_each(Side::measure)?;
    }
    let ratio = Comparison::of("the other build", this.rounds(), other.rounds(), |round| round.cpu);
    report.aim(&format!("CPU per delivery, {title}"), ratio.ratio, LIMIT, "× the other build");
    let row = Row::new(Case::Builds, &title, Figures::of(this.rounds()));
    report.rows.push(Row { comparison: Some(ratio), ..row });
    report.rows.push(Row::new(Case::Builds, &format!("{title}: the other build"), Figures::of(other.rounds())));
    Ok(())
}
