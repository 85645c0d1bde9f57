//! The outcome: rows of figures, goals reached or not, as a table or as JSON. Pure.

use serde::Serialize;

use super::{
    Case,
    round::{Figures, Round, column},
    statistics,
};

/// Everything that was measured.
#[derive(Debug, Default, Serialize)]
pub struct Report {
    /// In the order of the measurements.
    pub rows: Vec<Row>,
    /// What was to be reached.
    pub goals: Vec<Goal>,
    /// What was left out, and why.
    pub notes: Vec<String>,
}

/// One measurement.
#[derive(Debug, Serialize)]
pub struct Row {
    /// The case's letter.
    pub case: char,
    /// What was measured.
    pub title: String,
    /// What came out; nothing where only memory is measured.
    pub figures: Option<Figures>,
    /// Resident KiB of the server per connection.
    pub resident_kib: Option<f64>,
    /// Bytes on the bus for each.
    pub bus_bytes: Option<f64>,
    /// How it stands to another measurement of the same run.
    pub comparison: Option<Comparison>,
}

/// How one measurement stands to another that took turns with it.
#[derive(Debug, Clone, Copy, Serialize)]
pub struct Comparison {
    /// What it is compared with.
    pub with: &'static str,
    /// The median of the rounds' ratios.
    pub ratio: f64,
    /// How far these lie apart, in parts of the median.
    pub spread: f64,
}

/// A limit from the requirements.
#[derive(Debug, Serialize)]
pub struct Goal {
    /// What is limited.
    pub text: String,
    /// What was measured.
    pub actual: f64,
    /// What it may be at most.
    pub limit: f64,
    /// Of both figures.
    pub unit: &'static str,
    /// Whether the figure as it is printed is within the limit.
    pub reached: bool,
}

impl Row {
    /// A row without memory, bus and comparison.
    pub fn new(case: Case, title: &str, figures: impl Into<Option<Figures>>) -> Self {
        let title = title.to_owned();
        let case = case.letter();
        Self { case, title, figures: figures.into(), resident_kib: None, bus_bytes: None, comparison: None }
    }
}

impl Comparison {
    /// Compares one figure of two measurements, round by round.
    pub fn of(with: &'static str, rounds: &[Round], others: &[Round], figure: fn(&Round) -> f64) -> Self {
        let ratios = statistics::ratios(&column(rounds, figure), &column(others, figure));
        Self { with, ratio: statistics::median(&ratios), spread: statistics::spread(&ratios) }
    }
}

impl Report {
    /// Adds a goal.
    pub fn aim(&mut self, text: &str, actual: f64, limit: f64, unit: &'static str) {
        let reached = (actual * 100.0).round() <= limit * 100.0;
        self.goals.push(Goal { text: text.to_owned(), actual, limit, unit, reached });
    }

    /// For machines.
    pub fn json(&self) -> String {
        serde_json::to_string_pretty(self).expect("the report holds numbers and strings only")
    }

    /// For people.
    pub fn table(&self) -> String {
        let mut rows = vec![HEADER.map(str::to_owned).to_vec()];
        rows.extend(self.rows.iter().map(cells));
        let goals = self.goals.iter().map(|goal| {
            let verdict = if goal.reached { "reached" } else { "NOT reached" };
            vec![
                verdict.to_owned(),
                goal.text.clone(),
                format!("{:.2} {}", goal.actual, goal.unit),
                format!("at most {}", goal.limit),
            ]
        });
        let notes: String = self.notes.iter().map(|note| format!("\n{note}\n")).collect();
        format!("{}\n{}{notes}", aligned(&rows), aligned(&goals.collect::<Vec<_>>()))
    }
}

const HEADER: [&str; 9] = [
    "",
    "measurement",
    "a second",
    "p50 µs",
    "p99 µs",
    "CPU µs each",
    "KiB each",
    "bus bytes each",
    "ratio (spread of the rounds)",
];

fn cells(row: &Row) -> Vec<String> {
    let figure =
        |number: fn(&Figures) -> f64| row.figures.map_or(String::new(), |figures| grouped(number(&figures) as u64));
    let cpu = row.figures.map(|figures| format!("{:.2} ±{:.0} %", figures.cpu_us, figures.cpu_spread * 50.0));
    let ratio = row.comparison.map(|it| format!("{:.2} × {} ±{:.0} %", it.ratio, it.with, it.spread * 50.0));
    vec![
        row.case.to_string(),
        row.title.clone(),
        figure(|figures| figures.per_second),
        figure(|figures| figures.p50_us),
        figure(|figures| figures.p99_us),
        cpu.unwrap_or_default(),
        row.resident_kib.map_or(String::new(), |kib| format!("{kib:.2}")),
        row.bus_bytes.map_or(String::new(), |bytes| grouped(bytes as u64)),
        ratio.unwrap_or_default(),
    ]
}

/// Columns as wide as their widest cell, two blanks between them; what starts with a digit stands to the right.
fn aligned(rows: &[Vec<String>]) -> String {
    let columns = rows.iter().map(Vec::len).max().unwrap_or(0);
    let width_of = |column: usize| rows.iter().filter_map(|row| row.get(column)).map(|cell| cell.chars().count()).max();
    let widths: Vec<usize> = (0..columns).map(|column| width_of(column).unwrap_or(0)).collect();
    rows.iter().map(|row| aligned_row(row, &widths)).collect()
}

fn aligned_row(row: &[String], widths: &[usize]) -> String {
    let cells = row.iter().zip(widths).enumerate().map(|(column, (cell, width))| {
        // The title, in the second column, may start with a digit.
        if column != 1 && cell.starts_with(|first: char| first.is_ascii_digit()) {
            format!("{cell:>width$}")
        } else {
            format!("{cell:<width$}")
        }
    });
    let line = cells.collect::<Vec<_>>().join("  ");
    format!("{}\n", line.trim_end())
}

/// Digits in groups of three.
pub fn grouped(number: u64) -> String {
    let digits = number.to_string();
    let first = digits.len() % 3;
    let groups = digits.as_bytes()[first..].chunks(3).map(|group| String::from_utf8_lossy(group).into_owned());
    let head = (first > 0).then(|| digits[..first].to_owned());
    head.into_iter().chain(groups).collect::<Vec<_>>().join(",")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn report() -> Report {
        let figures =
            Figures { per_second: 80_000.0, p50_us: 5_100.0, p99_us: 9_900.0, cpu_us: 12.345, cpu_spread: 0.1 };
        let comparison = Comparison { with: "the floor", ratio: 1.234, spread: 0.06 };
        let row = Row::new(Case::FanOut, "1,000 sockets", figures);
        let mut report = Report::default();
        let row = Row { resident_kib: Some(1.7), bus_bytes: Some(1_234.5), comparison: Some(comparison), ..row };
        report.rows.push(row);
        report.notes.push("h is left out".to_owned());
        report.aim("CPU per delivery", 1.234, 1.25, "× the floor");
        report.aim("Memory", 3.2, 3.0, "KiB");
        report
    }

    #[test]
    fn the_table_shows_every_figure_and_every_goal() {
        let table = report().table();
        let lines: Vec<Vec<&str>> = table.lines().map(|line| line.split_whitespace().collect()).collect();
        let row = "a 1,000 sockets 80,000 5,100 9,900 12.35 ±5 % 1.70 1,234 1.23 × the floor ±3 %";
        assert_eq!(lines[1].join(" "), row);
        assert_eq!(lines[3].join(" "), "reached CPU per delivery 1.23 × the floor at most 1.25");
        assert_eq!(lines[4].join(" "), "NOT reached Memory 3.20 KiB at most 3");
        assert_eq!(lines[6].join(" "), "h is left out");
    }

    #[test]
    fn the_json_names_every_figure() {
        let json: serde_json::Value = serde_json::from_str(&report().json()).unwrap();
        assert_eq!(json["rows"][0]["figures"]["cpu_us"], 12.345);
        assert_eq!(json["rows"][0]["comparison"]["with"], "the floor");
        assert_eq!(json["goals"][1]["reached"], false);
    }

    #[test]
    fn digits_are_grouped_from_the_right() {
        for (number, text) in [(0, "0"), (999, "999"), (1_000, "1,000"), (12_345, "12,345"), (1_234_567, "1,234,567")] {
            assert_eq!(grouped(number), text);
        }
    }

    #[test]
    fn a_comparison_is_the_median_of_the_rounds_ratios() {
        let round = |cpu| Round { per_second: 1.0, p50: 1.0, p99: 1.0, cpu };
        let comparison =
            Comparison::of("the floor", &[round(2.0), round(9.0), round(3.0)], &[round(1.0); 3], |round| round.cpu);
        assert_eq!(comparison.ratio, 3.0);
    }
}
