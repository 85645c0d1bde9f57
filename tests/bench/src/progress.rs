//! How far the benchmark is, on stderr, so that stdout holds the result alone: a bar in a terminal, lines elsewhere.

use std::{
    io::{self, IsTerminal},
    sync::LazyLock,
};

use indicatif::{ProgressBar, ProgressStyle};

/// One for the process, as there is one stderr; none where nobody looks at a terminal.
static BAR: LazyLock<Option<ProgressBar>> = LazyLock::new(|| io::stderr().is_terminal().then(bar));

fn bar() -> ProgressBar {
    let style = ProgressStyle::with_template("{bar:20} {pos}/{len}  {msg}  {elapsed}");
    ProgressBar::new(0).with_style(style.expect("the template is sound"))
}

/// Begins a round of so many. Round 0 warms up.
pub fn round(title: &str, round: usize, rounds: usize) {
    match &*BAR {
        // Drawn once per round and not on a timer: nothing must run beside what is measured.
        Some(bar) => {
            bar.set_length(rounds as u64);
            bar.set_position(round as u64);
            bar.set_message(line(title, round, rounds));
        }
        None => eprintln!("{}", line(title, round, rounds)),
    }
}

/// A line that stays.
pub fn note(text: &str) {
    match &*BAR {
        Some(bar) => bar.suspend(|| eprintln!("{text}")),
        None => eprintln!("{text}"),
    }
}

/// Leaves the terminal to the result.
pub fn end() {
    BAR.iter().for_each(ProgressBar::finish_and_clear);
}

fn line(title: &str, round: usize, rounds: usize) -> String {
    match round {
        0 => format!("{title}: warming up"),
        _ => format!("{title}: round {round} of {rounds}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_round_warms_up() {
        assert_eq!(line("fan-out", 0, 5), "fan-out: warming up");
        assert_eq!(line("fan-out", 5, 5), "fan-out: round 5 of 5");
    }
}
