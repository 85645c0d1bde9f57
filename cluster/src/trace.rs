//! Which request an event comes of, as W3C Trace Context names it: so that what each node logs about the event, and the
//! spans that it records, can be found together.

/// The trace of a request and the span in it that made the request. Neither is zero.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TraceContext {
    // No numbers: their alignment would make room for itself in every event.
    trace: [u8; 16],
    span: [u8; 8],
    is_sampled: bool,
}

impl TraceContext {
    /// One that is not sampled. `None` if either is zero, which W3C Trace Context forbids.
    pub fn new(trace: u128, span: u64) -> Option<Self> {
        let is_valid = trace != 0 && span != 0;
        is_valid.then(|| Self { trace: trace.to_be_bytes(), span: span.to_be_bytes(), is_sampled: false })
    }

    /// The same, but its spans are recorded or they are not.
    #[must_use]
    pub fn with_sampled(self, is_sampled: bool) -> Self {
        Self { is_sampled, ..self }
    }

    /// Whether its spans are recorded.
    pub fn is_sampled(self) -> bool {
        self.is_sampled
    }

    pub fn trace(self) -> u128 {
        u128::from_be_bytes(self.trace)
    }

    pub fn span(self) -> u64 {
        u64::from_be_bytes(self.span)
    }

    /// The trace as it is written: 32 lower-case hexadecimal digits.
    pub fn trace_id(self) -> String {
        format!("{:032x}", self.trace())
    }

    /// The span as it is written: 16 lower-case hexadecimal digits.
    pub fn span_id(self) -> String {
        format!("{:016x}", self.span())
    }

    /// The header `traceparent` of a request that the span makes, in version 00.
    pub fn traceparent(self) -> String {
        format!("00-{}-{}-{:02x}", self.trace_id(), self.span_id(), u8::from(self.is_sampled))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_are_written_with_all_their_digits() {
        let context = TraceContext::new(0xab, 0xc).unwrap();
        assert_eq!(context.trace_id(), "000000000000000000000000000000ab");
        assert_eq!(context.span_id(), "000000000000000c");
    }

    #[test]
    fn there_is_none_with_a_zero() {
        assert_eq!(TraceContext::new(0, 1), None);
        assert_eq!(TraceContext::new(1, 0), None);
    }

    #[test]
    fn it_is_sampled_only_where_somebody_has_said_so() {
        let context = TraceContext::new(1, 2).unwrap();
        assert!(!context.is_sampled());
        assert!(context.with_sampled(true).is_sampled());
        assert_eq!(context.with_sampled(true).with_sampled(false), context);
    }

    #[test]
    fn an_event_without_one_has_no_more_bytes_to_carry_for_it() {
        assert_eq!(size_of::<Option<TraceContext>>(), size_of::<TraceContext>());
        assert_eq!(size_of::<TraceContext>(), 25);
    }
}
