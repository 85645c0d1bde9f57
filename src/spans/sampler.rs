//! Which traces are recorded: the samplers of OpenTelemetry, by the names that `OTEL_TRACES_SAMPLER` has for them. Pure.

use gaung_cluster::TraceContext;

/// Decides about a trace where it comes to this cluster; whoever hears of it later follows.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Sampler {
    parents: Parents,
    /// The part of the traces that are recorded, of those that nobody has decided about: from 0 to 1.
    ratio: f64,
}

/// What the decision of the caller is worth.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Parents {
    Followed,
    Ignored,
}

impl Sampler {
    /// The names, the default first.
    pub const NAMES: [&str; 6] = [
        "parentbased_always_off",
        "parentbased_always_on",
        "parentbased_traceidratio",
        "always_on",
        "always_off",
        "traceidratio",
    ];

    /// The sampler of a name; `ratio` counts for those by the trace's id. `None` for names that are none.
    pub fn named(name: &str, ratio: f64) -> Option<Self> {
        let (parents, root) = match name.strip_prefix("parentbased_") {
            Some(root) => (Parents::Followed, root),
            None => (Parents::Ignored, name),
        };
        let ratio = match root {
            "always_on" => 1.0,
            "always_off" => 0.0,
            "traceidratio" => ratio,
            _ => return None,
        };
        Some(Self { parents, ratio })
    }

    /// Whether a trace is recorded; `parent` is what the caller says of it.
    pub fn samples(self, trace: u128, parent: Option<TraceContext>) -> bool {
        match (self.parents, parent) {
            (Parents::Followed, Some(parent)) => parent.is_sampled(),
            (Parents::Followed, None) | (Parents::Ignored, _) => self.is_within_ratio(trace),
        }
    }

    /// By 63 bits of the id, as the SDKs of OpenTelemetry have it: all of them choose the same traces.
    fn is_within_ratio(self, trace: u128) -> bool {
        const ALL: f64 = (1u64 << 63) as f64;
        self.ratio >= 1.0 || ((trace as u64) >> 1) < (self.ratio * ALL) as u64
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(name: &str, expected: [bool; 3]) {
        let sampler = Sampler::named(name, 0.5).expect(name);
        let parent = |sampled| TraceContext::new(1, 1).map(|parent| parent.with_sampled(sampled));
        // The half that is recorded are the low ids.
        let decisions = [None, parent(true), parent(false)].map(|parent| sampler.samples(u128::from(u64::MAX), parent));
        assert_eq!(decisions, expected, "{name}: without a parent, with one that is sampled, with one that is not");
    }

    #[test]
    fn each_sampler_follows_its_parent_or_does_not() {
        check("parentbased_always_off", [false, true, false]);
        check("parentbased_always_on", [true, true, false]);
        check("parentbased_traceidratio", [false, true, false]);
        check("always_off", [false; 3]);
        check("always_on", [true; 3]);
        check("traceidratio", [false; 3]);
    }

    #[test]
    fn a_ratio_takes_the_low_ids_whatever_stands_in_the_upper_half() {
        let sampler = Sampler::named("traceidratio", 0.25).unwrap();
        let quarter = 1u128 << 62;
        for upper in [0, u128::MAX << 64] {
            assert!(sampler.samples(upper | 1, None));
            assert!(sampler.samples(upper | (quarter - 1), None));
            assert!(!sampler.samples(upper | quarter, None));
        }
        let all = Sampler::named("traceidratio", 1.0).unwrap();
        assert!(all.samples(u128::MAX, None));
        let none = Sampler::named("traceidratio", 0.0).unwrap();
        assert!(!none.samples(1 << 64, None));
    }

    #[test]
    fn every_name_is_a_sampler_and_others_are_none() {
        assert!(Sampler::NAMES.iter().all(|name| Sampler::named(name, 1.0).is_some()));
        for name in ["", "xray", "parentbased_", "parentbased_xray", "jaeger_remote"] {
            assert_eq!(Sampler::named(name, 1.0), None, "{name}");
        }
    }
}
