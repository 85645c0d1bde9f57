//! One measured phase and what several of them come to. Pure but for [`measure`].

use std::time::{Duration, Instant};

use serde::Serialize;

use super::{BenchError, process::Meter, statistics};

/// What happened in a measured phase.
#[derive(Debug)]
pub struct Sample {
    /// Deliveries, answers or connections.
    pub count: u64,
    /// Microseconds that each of them took.
    pub latencies: Vec<u32>,
}

impl Sample {
    /// Adds what happened next.
    pub fn extend(&mut self, next: Sample) {
        self.count += next.count;
        self.latencies.extend(next.latencies);
    }
}

/// The figures of one measured phase.
#[derive(Debug, Clone, Copy, Default)]
pub struct Round {
    /// How many happened in a second.
    pub per_second: f64,
    /// The median latency in microseconds.
    pub p50: f64,
    /// The 99th percentile in microseconds.
    pub p99: f64,
    /// CPU microseconds that the measured process spent on each.
    pub cpu: f64,
}

/// The medians of all rounds of one measurement.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct Figures {
    /// How many happened in a second.
    pub per_second: f64,
    /// The median latency in microseconds.
    pub p50_us: f64,
    /// The 99th percentile in microseconds.
    pub p99_us: f64,
    /// CPU microseconds of the measured process for each.
    pub cpu_us: f64,
    /// How far the rounds' CPU figures lie apart, in parts of their median.
    pub cpu_spread: f64,
}

/// Runs a phase while reading the clock and the CPU time of process `pid`.
pub fn measure(pid: u32, phase: impl FnOnce() -> Result<Sample, BenchError>) -> Result<Round, BenchError> {
    measure_each([Meter::Process(pid)], phase).map(|[round]| round)
}

/// The same for several processes or threads: rounds of one phase that differ in their CPU time alone.
pub fn measure_each<const N: usize>(
    meters: [Meter; N],
    phase: impl FnOnce() -> Result<Sample, BenchError>,
) -> Result<[Round; N], BenchError> {
    let before = cpu_times(meters)?;
    let start = Instant::now();
    let mut sample = phase()?;
    let elapsed = start.elapsed();
    let after = cpu_times(meters)?;
    Ok(std::array::from_fn(|index| Round::new(&mut sample, elapsed, after[index].saturating_sub(before[index]))))
}

fn cpu_times<const N: usize>(meters: [Meter; N]) -> Result<[Duration; N], BenchError> {
    let mut times = [Duration::ZERO; N];
    for (time, meter) in times.iter_mut().zip(meters) {
        let cpu = meter.read();
        *time = cpu.map_err(|error| BenchError::io("reading the CPU time of the measured process", error))?;
    }
    Ok(times)
}

impl Round {
    fn new(sample: &mut Sample, elapsed: Duration, cpu: Duration) -> Self {
        let count = sample.count.max(1) as f64;
        Self {
            per_second: count / elapsed.as_secs_f64(),
            p50: statistics::percentile(&mut sample.latencies, 0.5).into(),
            p99: statistics::percentile(&mut sample.latencies, 0.99).into(),
            cpu: cpu.as_secs_f64() * 1e6 / count,
        }
    }
}

impl Figures {
    /// The medians of `rounds`.
    pub fn of(rounds: &[Round]) -> Self {
        let cpu = column(rounds, |round| round.cpu);
        Self {
            per_second: statistics::median(&column(rounds, |round| round.per_second)),
            p50_us: statistics::median(&column(rounds, |round| round.p50)),
            p99_us: statistics::median(&column(rounds, |round| round.p99)),
            cpu_us: statistics::median(&cpu),
            cpu_spread: statistics::spread(&cpu),
        }
    }
}

/// One figure of every round.
pub fn column(rounds: &[Round], figure: impl Fn(&Round) -> f64) -> Vec<f64> {
    rounds.iter().map(figure).collect()
}

/// Whole microseconds.
pub fn micros(duration: Duration) -> u32 {
    duration.as_micros().try_into().unwrap_or(u32::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn round(cpu_ms: u64) -> Round {
        let mut sample = Sample { count: 1_000, latencies: (1..=100).collect() };
        Round::new(&mut sample, Duration::from_secs(2), Duration::from_millis(cpu_ms))
    }

    #[test]
    fn a_round_counts_per_second_and_cpu_per_piece() {
        let round = round(10);
        assert_eq!((round.per_second, round.cpu, round.p50, round.p99), (500.0, 10.0, 50.0, 99.0));
    }

    #[test]
    fn figures_are_medians_with_the_spread_of_the_cpu() {
        let figures = Figures::of(&[round(9), round(20), round(10)]);
        assert_eq!((figures.cpu_us, figures.cpu_spread), (10.0, 1.1));
    }
}
