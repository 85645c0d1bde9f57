//! Percentiles, medians and spreads. Pure.

/// The value that `fraction` of the samples do not exceed (nearest rank); 0 without samples. Reorders the samples.
pub fn percentile(samples: &mut [u32], fraction: f64) -> u32 {
    if samples.is_empty() {
        return 0;
    }
    let rank = (samples.len() as f64 * fraction).ceil() as usize;
    *samples.select_nth_unstable(rank.clamp(1, samples.len()) - 1).1
}

/// The middle value, or the mean of the two middle ones; 0 without values.
pub fn median(values: &[f64]) -> f64 {
    let mut sorted = values.to_vec();
    sorted.sort_by(f64::total_cmp);
    match (sorted.len(), sorted.len() / 2) {
        (0, _) => 0.0,
        (length, middle) if length % 2 == 1 => sorted[middle],
        (_, middle) => (sorted[middle - 1] + sorted[middle]) / 2.0,
    }
}

/// How far apart the values lie: the largest minus the smallest, in parts of the median; 0 when the median is 0.
pub fn spread(values: &[f64]) -> f64 {
    let largest = values.iter().copied().fold(f64::MIN, f64::max);
    let smallest = values.iter().copied().fold(f64::MAX, f64::min);
    match median(values) {
        0.0 => 0.0,
        middle => (largest - smallest) / middle,
    }
}

/// The ratios of values measured side by side, round by round; rounds without a divisor are left out.
pub fn ratios(values: &[f64], divisors: &[f64]) -> Vec<f64> {
    values.iter().zip(divisors).filter(|(_, divisor)| **divisor > 0.0).map(|(value, divisor)| value / divisor).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_percentile_is_the_nearest_rank() {
        let mut samples: Vec<u32> = (1..=100).rev().collect();
        assert_eq!(percentile(&mut samples, 0.5), 50);
        assert_eq!(percentile(&mut samples, 0.99), 99);
        assert_eq!(percentile(&mut samples, 1.0), 100);
        assert_eq!(percentile(&mut [7], 0.01), 7);
        assert_eq!(percentile(&mut [], 0.5), 0);
    }

    #[test]
    fn a_median_lies_between_the_two_middle_values() {
        assert_eq!(median(&[3.0, 1.0, 2.0]), 2.0);
        assert_eq!(median(&[4.0, 1.0, 2.0, 3.0]), 2.5);
        assert_eq!(median(&[]), 0.0);
    }

    #[test]
    fn a_spread_is_in_parts_of_the_median() {
        assert_eq!(spread(&[9.0, 10.0, 11.0]), 0.2);
        assert_eq!(spread(&[5.0]), 0.0);
        assert_eq!(spread(&[]), 0.0);
    }

    #[test]
    fn ratios_pair_the_rounds() {
        assert_eq!(ratios(&[2.0, 9.0], &[1.0, 3.0]), [2.0, 3.0]);
        assert_eq!(ratios(&[2.0, 9.0], &[0.0, 3.0]), [3.0]);
    }
}
