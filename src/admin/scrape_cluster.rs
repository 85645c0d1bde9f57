//! The cluster's part of `/metrics`. A node alone shows none of it.

use gaung_cluster::{codec::DecodeError, peer::Stage};

use super::{cluster::Look, exposition::Exposition, peers::stage_name};
use crate::{metrics::catalogue, room::CacheUse};

const STAGES: [Stage; 4] = [Stage::Meeting, Stage::Live, Stage::Dead, Stage::Returning];

/// Why a message from NATS is not taken, and the label for it.
const REFUSALS: [(DecodeError, &str); 6] = [
    (DecodeError::TooLong, "too_long"),
    (DecodeError::Short, "short"),
    (DecodeError::Trailing, "trailing"),
    (DecodeError::Version, "version"),
    (DecodeError::Kind, "kind"),
    (DecodeError::Value, "value"),
];

impl Exposition {
    /// What the cluster looks like now and what happened in it.
    pub(super) fn cluster(&mut self, look: &Look) {
        self.bus(look);
        self.peers(look);
        self.lanes(look);
        self.cache(CacheUse { bytes: look.cached_bytes, evicted: look.counters.cache_evicted });
        self.frames(look);
    }

    fn bus(&mut self, look: &Look) {
        let status = &look.status;
        self.values(&catalogue::CLUSTER_CONNECTED, [([], f64::from(u8::from(status.connected)))]);
        self.values(&catalogue::CLUSTER_OWN_BEAT_AGE, look.own_beat_age.map(|age| ([], age.as_secs_f64())));
        self.values(&catalogue::CLUSTER_BEAT_ROUND_TRIP, look.round_trip.map(|time| ([], time.as_secs_f64())));
        self.values(&catalogue::CLUSTER_QUEUED_EVENTS, [([], status.queued as f64)]);
        let queued_bytes = status.queued_bytes + status.unwritten;
        self.values(&catalogue::CLUSTER_QUEUED_BYTES, [([], queued_bytes as f64)]);
        self.values(&catalogue::CLUSTER_RING, [([], look.ring.as_secs_f64())]);
        self.values(&catalogue::CLUSTER_RECONNECTS, [([], status.reconnects as f64)]);
        self.values(&catalogue::CLUSTER_SLOW_CONSUMERS, [([], status.slow_consumers as f64)]);
        let dropped = [(["client"], status.dropped as f64), (["too_large"], look.counters.oversized as f64)];
        self.values(&catalogue::CLUSTER_DROPPED_PUBLISHES, dropped);
    }

    fn peers(&mut self, look: &Look) {
        let count = |stage| look.peers.iter().filter(|peer| peer.stage == stage).count();
        self.values(&catalogue::CLUSTER_PEERS, STAGES.map(|stage| ([stage_name(stage)], count(stage) as f64)));
        self.values(&catalogue::CLUSTER_DEATHS, [([], look.counters.deaths as f64)]);
    }

    fn lanes(&mut self, look: &Look) {
        let counters = &look.counters;
        for (description, count) in [
            (&catalogue::CLUSTER_GAPS, counters.gaps),
            (&catalogue::CLUSTER_ASKED_AGAIN, counters.asked),
            (&catalogue::CLUSTER_SENT_AGAIN, counters.resent),
            (&catalogue::CLUSTER_REPUBLISHED, counters.republished),
            (&catalogue::CLUSTER_GIVEN_UP, counters.gaps_lost),
            (&catalogue::CLUSTER_EVENTS_LOST, counters.events_lost),
            (&catalogue::CLUSTER_EVENTS_RECOVERED, counters.events_recovered),
            (&catalogue::CLUSTER_DUPLICATES, counters.duplicates),
            (&catalogue::CLUSTER_SNAPSHOTS, counters.snapshots),
            (&catalogue::CLUSTER_VIEW_MISMATCHES, counters.mismatches),
        ] {
            self.values(description, [([], count as f64)]);
        }
    }

    fn frames(&mut self, look: &Look) {
        let counters = &look.counters;
        let refused = |error| counters.refused.get(error).copied().unwrap_or_default() as f64;
        let unreadable = REFUSALS.iter().map(|(error, reason)| ([*reason], refused(error)));
        let unwanted = [
            (["misdirected"], counters.misdirected as f64),
            (["crowded"], counters.crowded as f64),
            (["unknown"], counters.unknown as f64),
        ];
        self.values(&catalogue::CLUSTER_REFUSED_FRAMES, unreadable.chain(unwanted));
        self.values(&catalogue::CLUSTER_BYTES_IN, [([], counters.bytes_in as f64)]);
        self.values(&catalogue::CLUSTER_BYTES_OUT, [([], counters.bytes_out as f64)]);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::admin::cluster::tests::look;

    fn check(look: &Look, lines: &[&str]) {
        let mut exposition = Exposition::default();
        exposition.cluster(look);
        let text = exposition.finish();
        for line in lines {
            assert!(text.lines().any(|shown| shown == *line), "{line:?} is not in:\n{text}");
        }
    }

    #[test]
    fn what_the_core_and_the_bus_know_is_shown() {
        check(
            &look(),
            &[
                "gaung_cluster_connected 1",
                "gaung_cluster_own_beat_age_seconds 0.5",
                "gaung_cluster_beat_round_trip_seconds 0.002",
                "gaung_cluster_bytes_in_total 1",
                "gaung_cluster_bytes_out_total 2",
                "gaung_cluster_duplicates_total 3",
                "gaung_cluster_deaths_total 4",
                "gaung_cluster_reconnects_total 5",
                "gaung_cluster_slow_consumers_total 6",
                r#"gaung_cluster_dropped_publishes_total{reason="client"} 7"#,
                r#"gaung_cluster_dropped_publishes_total{reason="too_large"} 0"#,
                "gaung_cluster_queued_events 8",
                "gaung_cluster_queued_bytes 19",
                "gaung_cache_bytes 10",
                "gaung_cache_evictions_total 11",
                "gaung_cluster_ring_seconds 90",
                "gaung_cluster_events_lost_total 9",
                "gaung_cluster_events_recovered_total 19",
            ],
        );
    }

    #[test]
    fn peers_are_counted_by_stage_and_every_stage_is_there() {
        check(
            &look(),
            &[
                r#"gaung_cluster_peers{stage="meeting"} 1"#,
                r#"gaung_cluster_peers{stage="live"} 1"#,
                r#"gaung_cluster_peers{stage="dead"} 0"#,
                r#"gaung_cluster_peers{stage="returning"} 0"#,
            ],
        );
    }

    #[test]
    fn every_reason_to_refuse_a_frame_is_shown_with_its_count() {
        let mut look = look();
        look.counters.refused.insert(DecodeError::Version, 2);
        look.counters.misdirected = 3;
        check(
            &look,
            &[
                r#"gaung_cluster_refused_frames_total{reason="version"} 2"#,
                r#"gaung_cluster_refused_frames_total{reason="short"} 0"#,
                r#"gaung_cluster_refused_frames_total{reason="misdirected"} 3"#,
                r#"gaung_cluster_refused_frames_total{reason="crowded"} 0"#,
            ],
        );
    }
}
