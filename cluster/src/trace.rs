//! Which request an event comes of, as W3C Trace Context names it: so that what each node logs about the event can be
//! found together.

use std::num::NonZeroU64;

/// The trace of a request and the span in it that made the request. Neither is zero.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TraceContext {
    // Not a number: one of 16 bytes would make room for its alignment in every event.
    trace: [u8; 16],
    span: NonZeroU64,
}

impl TraceContext {
    /// `None` if either is zero, which W3C Trace Context forbids.
    pub fn new(trace: u128, span: u64) -> Option<Self> {
        (trace != 0).then_some(())?;
        Some(Self { trace: trace.to_be_bytes(), span: NonZeroU64::new(span)? })
    }

    pub fn trace(self) -> u128 {
        u128::from_be_bytes(self.trace)
    }

    pub fn span(self) -> u64 {
        self.span.get()
    }

    /// The trace as it is written: 32 lower-case hexadecimal digits.
    pub fn trace_id(self) -> String {
        format!("{:032x}", self.trace())
    }

    /// The span as it is written: 16 lower-case hexadecimal digits.
    pub fn span_id(self) -> String {
        format!("{:016x}", self.span())
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
    fn an_event_without_one_has_no_more_bytes_to_carry_for_it() {
        assert_eq!(size_of::<Option<TraceContext>>(), size_of::<TraceContext>());
    }
}
