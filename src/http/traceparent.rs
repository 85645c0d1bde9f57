//! The `traceparent` header of W3C Trace Context: which trace a request belongs to, and which span made it. Pure.

use actix_web::http::header::{HeaderMap, HeaderName};
use gaung_cluster::TraceContext;

const NAME: HeaderName = HeaderName::from_static("traceparent");

/// Bytes of the header in version 00: version, trace, span and flags, with a hyphen between two.
const LENGTH: usize = 55;

/// The flag of a trace whose spans are recorded (§3.2.2.5.1); what the others mean, no receiver needs to know.
const SAMPLED: u128 = 1;

/// What the request belongs to. A header that breaks the rules counts as absent, and so do two of them.
pub fn of(headers: &HeaderMap) -> Option<TraceContext> {
    let mut values = headers.get_all(NAME);
    let value = values.next().filter(|_| values.next().is_none())?;
    parse(value.to_str().ok()?)
}

/// W3C Trace Context §3.2. What a version after 00 adds stands behind another hyphen and is not looked at.
fn parse(value: &str) -> Option<TraceContext> {
    let (known, more) = value.split_at_checked(LENGTH)?;
    let mut fields = known.split('-');
    let [version, trace, span, flags] = [fields.next()?, fields.next()?, fields.next()?, fields.next()?];
    let is_complete =
        fields.next().is_none() && [version.len(), trace.len(), span.len(), flags.len()] == [2, 32, 16, 2];
    let version = number(version)?;
    let may_have_more = version > 0 && more.starts_with('-');
    if !is_complete || version == 0xff || !(more.is_empty() || may_have_more) {
        return None;
    }
    let is_sampled = number(flags)? & SAMPLED == SAMPLED;
    let context = TraceContext::new(number(trace)?, u64::try_from(number(span)?).ok()?)?;
    Some(context.with_sampled(is_sampled))
}

/// Lower-case hexadecimal digits and nothing else.
fn number(digits: &str) -> Option<u128> {
    let is_lower_case = digits.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'));
    if is_lower_case { u128::from_str_radix(digits, 16).ok() } else { None }
}

#[cfg(test)]
mod tests {
    use super::*;
    use actix_web::http::header::HeaderValue;

    const TRACE: &str = "4bf92f3577b34da6a3ce929d0e0e4736";
    const SPAN: &str = "00f067aa0ba902b7";

    /// The header with these parts, read: trace and span.
    fn read(version: &str, trace: &str, span: &str, rest: &str) -> Option<(String, String)> {
        let context = parse(&format!("{version}-{trace}-{span}-{rest}"))?;
        Some((context.trace_id(), context.span_id()))
    }

    fn check(version: &str, rest: &str) {
        assert_eq!(read(version, TRACE, SPAN, rest), Some((TRACE.to_owned(), SPAN.to_owned())), "{version} {rest}");
    }

    fn check_ignored(version: &str, trace: &str, span: &str, rest: &str) {
        assert_eq!(read(version, trace, span, rest), None, "{version}-{trace}-{span}-{rest}");
    }

    #[test]
    fn version_00_is_read_whatever_its_flags() {
        ["00", "01", "ff"].iter().for_each(|flags| check("00", flags));
    }

    #[test]
    fn the_last_flag_says_whether_the_trace_is_sampled() {
        for (flags, expected) in [("00", false), ("01", true), ("02", false), ("03", true), ("ff", true)] {
            let context = parse(&format!("00-{TRACE}-{SPAN}-{flags}")).expect(flags);
            assert_eq!(context.is_sampled(), expected, "{flags}");
            assert_eq!(parse(&context.traceparent()).map(TraceContext::is_sampled), Some(expected));
        }
    }

    #[test]
    fn a_later_version_may_have_more_behind_a_hyphen() {
        for version in ["01", "cc", "fe"] {
            ["01", "01-", "01-what-the-future-will-be-like"].iter().for_each(|rest| check(version, rest));
            check_ignored(version, TRACE, SPAN, "01.what");
            check_ignored(version, TRACE, SPAN, "0");
            check_ignored(version, TRACE, SPAN, "01x");
        }
    }

    #[test]
    fn version_00_has_no_more_and_ff_is_none() {
        ["01-", "01-what", "011", "01 ", "0", ""].iter().for_each(|rest| check_ignored("00", TRACE, SPAN, rest));
        check_ignored("ff", TRACE, SPAN, "01");
        ["0", "", "000", "0x", "g0", "0g", "FE", "+1"]
            .iter()
            .for_each(|version| check_ignored(version, TRACE, SPAN, "01"));
    }

    #[test]
    fn ids_are_lower_case_hexadecimal_whole_and_not_zero() {
        let zeros = "0".repeat(32);
        let traces = [&zeros, &TRACE[1..], &format!("{TRACE}0"), &TRACE.to_uppercase(), &TRACE.replace('4', "g"), ""];
        traces.iter().for_each(|trace| check_ignored("00", trace, SPAN, "01"));
        let spans = [&zeros[..16], &SPAN[1..], &format!("{SPAN}0"), &SPAN.to_uppercase(), &SPAN.replace('0', "+"), ""];
        spans.iter().for_each(|span| check_ignored("00", TRACE, span, "01"));
        ["0A", "0g", "+1", "-1", "é"].iter().for_each(|flags| check_ignored("00", TRACE, SPAN, flags));
        // As long as it must be, with the hyphens elsewhere.
        assert_eq!(parse(&format!("00-{}-{SPAN}0-01", &TRACE[1..])), None);
        assert_eq!(parse(&"-".repeat(55)), None);
    }

    #[test]
    fn of_two_headers_neither_counts() {
        let mut headers = HeaderMap::new();
        assert_eq!(of(&headers), None);
        let value = HeaderValue::from_str(&format!("00-{TRACE}-{SPAN}-01")).unwrap();
        headers.append(NAME, value.clone());
        assert_eq!(of(&headers).map(TraceContext::span_id), Some(SPAN.to_owned()));
        headers.append(NAME, value);
        assert_eq!(of(&headers), None);
    }

    #[test]
    fn what_is_no_text_is_no_trace() {
        let mut headers = HeaderMap::new();
        headers.append(NAME, HeaderValue::from_bytes(&[0xff; LENGTH]).unwrap());
        assert_eq!(of(&headers), None);
    }
}
