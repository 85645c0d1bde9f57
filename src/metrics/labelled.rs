//! Counts of what happened, divided by a label whose values are known beforehand. No lock, no map: a count is one atomic
//! of its own.

use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

/// One count for each value of a label.
#[derive(Debug)]
pub struct LabelledCounts {
    values: &'static [&'static str],
    counts: Box<[AtomicU64]>,
}

impl LabelledCounts {
    /// All at zero.
    pub(super) fn new(values: &'static [&'static str]) -> Self {
        Self { values, counts: values.iter().map(|_| AtomicU64::new(0)).collect() }
    }

    /// Counts one more under this value of the label, which must be one of those that are known.
    pub fn count(&self, value: &str) {
        let count = self.find(value);
        debug_assert!(count.is_some(), "{value:?} is no value of this label");
        if let Some(count) = count {
            count.fetch_add(1, Relaxed);
        }
    }

    /// How many were counted under this value.
    pub fn get(&self, value: &str) -> u64 {
        self.find(value).map_or(0, |count| count.load(Relaxed))
    }

    /// Every value with its count, in the order of the table.
    pub fn rows(&self) -> impl Iterator<Item = (&'static str, u64)> {
        self.values.iter().zip(&self.counts).map(|(value, count)| (*value, count.load(Relaxed)))
    }

    fn find(&self, value: &str) -> Option<&AtomicU64> {
        let place = self.values.iter().position(|known| *known == value)?;
        self.counts.get(place)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_value_has_a_count_of_its_own() {
        let counts = LabelledCounts::new(&["a", "b"]);
        counts.count("b");
        counts.count("b");
        assert_eq!(counts.rows().collect::<Vec<_>>(), [("a", 0), ("b", 2)]);
        assert_eq!((counts.get("b"), counts.get("c")), (2, 0));
    }
}
