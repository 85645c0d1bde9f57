//! Tables on stdout. Pure.

use super::line::printable;

/// One line per row below the headings, each column as wide as its widest cell. What others sent must neither break a line
/// nor reach the terminal as a command.
pub(super) fn table<const N: usize>(headings: [&str; N], rows: impl IntoIterator<Item = [String; N]>) -> String {
    let rows = rows.into_iter().map(|row| row.map(|cell| printable(&cell)));
    let rows: Vec<_> = std::iter::once(headings.map(str::to_owned)).chain(rows).collect();
    let width = |column: usize| rows.iter().map(|row| row[column].chars().count()).max().unwrap_or_default();
    let widths: [usize; N] = std::array::from_fn(width);
    let line = |row: &[String; N]| {
        let padded = row.iter().zip(widths).map(|(cell, width)| format!("{cell:<width$}"));
        padded.collect::<Vec<_>>().join("  ").trim_end().to_owned()
    };
    rows.iter().map(line).collect::<Vec<_>>().join("\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_are_as_wide_as_their_widest_cell() {
        let rows = [["a", "1", ""], ["long name", "22", "x"]].map(|row| row.map(str::to_owned));
        assert_eq!(table(["NAME", "N", ""], rows), "NAME       N\na          1\nlong name  22  x");
    }

    #[test]
    fn what_a_server_says_does_not_reach_the_terminal_as_a_command() {
        assert_eq!(table(["NAME"], [["\u{1b}[2J\n".to_owned()]]), "NAME\n\\u{1b}[2J\\n");
    }
}
