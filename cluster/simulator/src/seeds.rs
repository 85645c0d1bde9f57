//! Many runs, each of a seed: `SEEDS=3000` says how many, `SEED=17` repeats one.

use std::{env, fmt::Debug, ops::AddAssign};

/// A number from the environment.
pub fn number(variable: &str) -> Option<u64> {
    env::var(variable).ok().map(|text| text.parse().unwrap_or_else(|_| panic!("{variable} is not a number: {text:?}")))
}

/// Runs so many seeds, or the one that is to be repeated; adds up what happened, and panics with the seeds that failed.
pub fn run_seeds<T>(seeds: u64, run: impl Fn(u64) -> Result<T, Vec<String>>) -> T
where
    T: AddAssign + Debug + Default,
{
    let seeds = number("SEED").map_or(0..seeds, |seed| seed..seed + 1);
    let (mut tally, mut failed) = (T::default(), Vec::new());
    for seed in seeds {
        match run(seed) {
            Ok(happened) => tally += happened,
            Err(faults) => {
                println!("SEED={seed}: {} faults, the first: {}", faults.len(), faults[0]);
                failed.push(seed);
            }
        }
    }
    println!("{tally:?}");
    assert!(failed.is_empty(), "{} seeds failed; to repeat: SEED={}", failed.len(), failed[0]);
    tally
}
