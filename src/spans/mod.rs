//! Spans of requests whose trace is sampled: made where something happens, and handed to who exports them. Nothing waits for
//! that: a queue takes them, and what it has no place for is dropped and counted. Where nothing is exported no span is made.

mod open_span;
mod sampler;

use std::{sync::Arc, time::Instant};

use gaung_cluster::TraceContext;
use opentelemetry_proto::tonic::trace::v1::Span;
use prometheus::IntCounter;
use tokio::sync::mpsc;

pub use open_span::{Kind, OpenSpan};
pub use sampler::Sampler;

/// Spans that wait to be exported at most; one has about 500 bytes. Beyond it the newest are dropped and counted.
pub const MAX_WAITING: usize = 8_192;

/// Where spans go; to nobody where nothing is exported. Cheap to clone.
#[derive(Debug, Clone, Default)]
pub struct Spans(Option<Arc<Recorder>>);

#[derive(Debug)]
struct Recorder {
    sampler: Sampler,
    queue: mpsc::Sender<Span>,
    dropped: IntCounter,
}

impl Spans {
    /// Spans of what the sampler chooses, and the queue that they go to. `dropped` counts those that it has no place for.
    pub fn sampled_by(sampler: Sampler, dropped: IntCounter) -> (Self, mpsc::Receiver<Span>) {
        let (queue, waiting) = mpsc::channel(MAX_WAITING);
        (Self(Some(Arc::new(Recorder { sampler, queue, dropped }))), waiting)
    }

    /// Whether any are wanted.
    pub fn are_wanted(&self) -> bool {
        self.0.is_some()
    }

    /// The span of what begins on this node, or comes from outside the cluster with the trace of its `caller`; `None` if it
    /// is not sampled.
    pub fn begin(
        &self,
        (name, kind): (&'static str, Kind),
        caller: Option<TraceContext>,
        start: Instant,
    ) -> Option<OpenSpan> {
        let recorder = self.0.as_ref()?;
        let trace = caller.map_or_else(new_trace, TraceContext::trace);
        let is_sampled = recorder.sampler.samples(trace, caller);
        is_sampled.then(|| OpenSpan::new(recorder, (name, kind), trace, caller, start))
    }

    /// A span below another of the cluster; `None` if that is not sampled.
    pub fn follow(
        &self,
        (name, kind): (&'static str, Kind),
        parent: Option<TraceContext>,
        start: Instant,
    ) -> Option<OpenSpan> {
        let recorder = self.0.as_ref()?;
        let parent = parent.filter(|parent| parent.is_sampled())?;
        Some(OpenSpan::new(recorder, (name, kind), parent.trace(), Some(parent), start))
    }
}

impl Recorder {
    fn take(&self, span: Span) {
        if self.queue.try_send(span).is_err() {
            self.dropped.inc();
        }
    }
}

fn new_trace() -> u128 {
    rand::random_range(1..=u128::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    const PLACE: (&str, Kind) = ("publish", Kind::Producer);

    fn spans() -> (Spans, mpsc::Receiver<Span>, IntCounter) {
        let dropped = IntCounter::new("dropped", "dropped").unwrap();
        let sampler = Sampler::named("parentbased_always_off", 1.0).unwrap();
        let (spans, waiting) = Spans::sampled_by(sampler, dropped.clone());
        (spans, waiting, dropped)
    }

    fn caller(sampled: bool) -> Option<TraceContext> {
        TraceContext::new(0xab, 0xc).map(|caller| caller.with_sampled(sampled))
    }

    #[test]
    fn a_span_belongs_to_the_trace_and_below_the_span_of_its_caller() {
        let (spans, mut waiting, _) = spans();
        let open = spans.begin(PLACE, caller(true), Instant::now()).expect("it is sampled");
        let context = open.context();
        assert!(context.is_sampled() && context.trace() == 0xab && context.span() != 0xc);
        open.end();
        let below = spans.follow(PLACE, Some(context), Instant::now()).expect("its parent is");
        below.end();
        let [first, second] = [waiting.try_recv().unwrap(), waiting.try_recv().unwrap()];
        assert_eq!(first.trace_id, 0xab_u128.to_be_bytes());
        assert_eq!(first.parent_span_id, 0xc_u64.to_be_bytes());
        assert_eq!(first.span_id, context.span().to_be_bytes());
        assert_eq!((&second.trace_id, &second.parent_span_id), (&first.trace_id, &first.span_id));
        assert!(first.start_time_unix_nano > 0 && first.start_time_unix_nano <= first.end_time_unix_nano);
    }

    #[test]
    fn what_is_not_sampled_or_not_wanted_has_no_span() {
        let (spans, _waiting, _) = spans();
        for caller in [None, caller(false)] {
            assert!(spans.begin(PLACE, caller, Instant::now()).is_none());
            assert!(spans.follow(PLACE, caller, Instant::now()).is_none());
        }
        let nobody = Spans::default();
        assert!(!nobody.are_wanted());
        assert!(nobody.begin(PLACE, caller(true), Instant::now()).is_none());
        assert!(nobody.follow(PLACE, caller(true), Instant::now()).is_none());
    }

    #[test]
    fn the_newest_are_dropped_and_counted_where_too_many_wait() {
        let (spans, waiting, dropped) = spans();
        for _ in 0..MAX_WAITING + 3 {
            spans.follow(PLACE, caller(true), Instant::now()).expect("it is sampled").end();
        }
        assert_eq!((waiting.len(), dropped.get()), (MAX_WAITING, 3));
        drop(waiting);
        spans.follow(PLACE, caller(true), Instant::now()).expect("it is sampled").end();
        assert_eq!(dropped.get(), 4);
    }
}
