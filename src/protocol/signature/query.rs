//! A query as the signature rules read it (protocol.md §2.4): pairs, percent-decoded once, keys in lower case.

use std::borrow::Cow;

use percent_encoding::percent_decode_str;

/// What a `+` in a query stands for: clients differ, and only the signature tells.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Plus {
    /// Itself.
    Literal,
    /// A blank, as HTML forms write it.
    Blank,
}

/// The parameters of a query, sorted by key; those of one key keep their order.
pub(super) struct Query<'a>(Vec<Pair<'a>>);

/// Key and value; decoded bytes need not be UTF-8.
type Pair<'a> = (Cow<'a, [u8]>, Cow<'a, [u8]>);

/// A parameter that may occur once occurs more often.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Repeated;

impl<'a> Query<'a> {
    /// Reads a raw query, without its `?`. A pair without `=` has an empty value; empty pairs are skipped.
    pub(super) fn parse(query: &'a str, plus: Plus) -> Self {
        let pairs =
            query.split('&').filter(|pair| !pair.is_empty()).map(|pair| pair.split_once('=').unwrap_or((pair, "")));
        Self::sorted(pairs.map(|(key, value)| (lower_case(decode(key, plus)), decode(value, plus))).collect())
    }

    /// Parameters that are not encoded.
    pub(super) fn of(pairs: &[(&'a str, &'a str)]) -> Self {
        Self::sorted(
            pairs.iter().map(|(key, value)| (lower_case(key.as_bytes().into()), value.as_bytes().into())).collect(),
        )
    }

    /// The value of a parameter that may occur once. `key` is in lower case.
    pub(super) fn single(&self, key: &str) -> Result<Option<&[u8]>, Repeated> {
        let mut values = self.0.iter().filter(|(name, _)| **name == *key.as_bytes()).map(|(_, value)| &**value);
        match (values.next(), values.next()) {
            (value, None) => Ok(value),
            (_, Some(_)) => Err(Repeated),
        }
    }

    /// What the query adds to the text to sign: `key=value&…`, decoded, without the signature itself.
    pub(super) fn canonical(&self) -> Vec<u8> {
        let mut text = Vec::with_capacity(self.0.iter().map(|(key, value)| key.len() + value.len() + 2).sum());
        for (key, value) in self.0.iter().filter(|(key, _)| **key != *b"auth_signature") {
            let separator: &[u8] = if text.is_empty() { b"" } else { b"&" };
            [separator, key, b"=", value].into_iter().for_each(|part| text.extend_from_slice(part));
        }
        text
    }

    fn sorted(mut pairs: Vec<Pair<'a>>) -> Self {
        pairs.sort_by(|(left, _), (right, _)| left.cmp(right));
        Self(pairs)
    }
}

fn decode(text: &str, plus: Plus) -> Cow<'_, [u8]> {
    match plus {
        // Most clients encode nothing.
        Plus::Literal if !text.contains('%') => text.as_bytes().into(),
        Plus::Blank if text.contains('+') => Cow::Owned(percent_decode_str(&text.replace('+', " ")).collect()),
        Plus::Blank | Plus::Literal => percent_decode_str(text).into(),
    }
}

fn lower_case(key: Cow<'_, [u8]>) -> Cow<'_, [u8]> {
    if key.iter().any(u8::is_ascii_uppercase) { Cow::Owned(key.to_ascii_lowercase()) } else { key }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(query: &str, plus: Plus, canonical: &str) {
        let text = Query::parse(query, plus).canonical();
        assert_eq!(String::from_utf8_lossy(&text), canonical, "{query}");
    }

    #[test]
    fn parameters_are_decoded_once_and_sorted_by_lower_case_key() {
        check("b=2&a=1", Plus::Literal, "a=1&b=2");
        check("B=2&a=X&C=3", Plus::Literal, "a=X&b=2&c=3");
        check("info=user_count%2Csubscription_count", Plus::Literal, "info=user_count,subscription_count");
        check("a=%2525", Plus::Literal, "a=%25");
        check("%41=1", Plus::Literal, "a=1");
        check("a_b=1&a=2", Plus::Literal, "a=2&a_b=1");
    }

    #[test]
    fn the_signature_is_left_out_wherever_it_stands() {
        check("auth_signature=ff&b=2&a=1", Plus::Literal, "a=1&b=2");
        check("a=1&Auth_Signature=ff&b=2", Plus::Literal, "a=1&b=2");
        check("auth_signature=ff", Plus::Literal, "");
    }

    #[test]
    fn parameters_of_one_key_stay_apart_and_in_order() {
        check("k[]=b&a=1&k[]=a", Plus::Literal, "a=1&k[]=b&k[]=a");
        check("k%5B%5D=b&k[]=a", Plus::Literal, "k[]=b&k[]=a");
    }

    #[test]
    fn broken_encoding_is_taken_as_it_is() {
        check("a=%&b=%f&c=%zz&&d&=e&f==g", Plus::Literal, "=e&a=%&b=%f&c=%zz&d=&f==g");
        check("", Plus::Literal, "");
        check("&&", Plus::Literal, "");
        assert_eq!(Query::parse("a=%ff%00", Plus::Literal).canonical(), b"a=\xff\0");
    }

    #[test]
    fn a_plus_is_itself_or_a_blank_but_an_encoded_one_is_always_a_plus() {
        check("a=1+2%2B3", Plus::Literal, "a=1+2+3");
        check("a=1+2%2B3", Plus::Blank, "a=1 2+3");
    }

    #[test]
    fn a_parameter_that_must_be_single_is_refused_when_repeated() {
        let query = Query::parse("a=1&b=2&A=1&c", Plus::Literal);
        assert_eq!(query.single("a"), Err(Repeated));
        assert_eq!(query.single("b"), Ok(Some(&b"2"[..])));
        assert_eq!(query.single("c"), Ok(Some(&b""[..])));
        assert_eq!(query.single("d"), Ok(None));
    }
}
