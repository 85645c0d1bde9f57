//! Who a signed text says its bearer is: a member of one presence channel (protocol.md §1.9) or the user of the whole
//! session (protocol.md §1.12). Ids become strings here and are compared as such from here on; `user_info` stays the JSON
//! text that it was. Signatures are checked elsewhere. Pure.

use serde_json::value::RawValue;

use super::{
    ChannelName, ChannelPatterns, InvalidChannelName, InvalidPattern,
    object::{Object, is_null, unquoted},
};

/// Characters of a user id (protocol.md §1.9).
const MAX_ID_CHARACTERS: usize = 128;

/// Users that one watchlist may name (protocol.md §1.12).
const MAX_WATCHLIST: usize = 100;

/// A member, as `channel_data` of a presence subscription names it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MemberClaim {
    /// The stringified `user_id`: 1 to 128 characters; of a number, its very digits.
    pub id: String,
    /// `user_info` as JSON text; `{}` if there was none. Its size is the app's to limit.
    pub info: String,
}

/// A user, as `user_data` of a sign-in names it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UserClaim {
    /// The stringified `id`: 1 to 128 characters that a channel name may have, so that `#server-to-user-{id}` is one.
    pub id: String,
    /// `user_info` as JSON text; `{}` if there was none.
    pub info: String,
    /// Whose coming and going the user wants to hear of: the first 100 ids.
    pub watchlist: Vec<String>,
    /// The private and presence channels that the user may have without another signature.
    pub channels: ChannelPatterns,
    /// Whether the watchlist was longer than that; the client is told with code 4302.
    pub truncated_watchlist: bool,
    /// What `signin_success` echoes: `user_data` byte for byte, but an id that was a number is a string, because
    /// clients ignore a sign-in whose id is not one, and Laravel signs numbers.
    pub echo: String,
}

/// What the patterns of a sign-in may be, by the app's settings.
#[derive(Debug, Clone, Copy)]
pub struct ChannelLimits {
    /// The most patterns: `max_subscriptions`.
    pub count: usize,
    /// The most characters of one: `max_channel_name_length`.
    pub length: usize,
}

/// Why a signed text names nobody. The app's own back end wrote that text, so its developer must act.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum InvalidClaim {
    #[error("the signed text is not a JSON object")]
    NotAnObject,
    /// The object lacks the id's member: `user_id` or `id`.
    #[error("the signed text has no {0}")]
    NoId(&'static str),
    #[error("a user id must be a string or a number")]
    IdType,
    #[error("a user id is empty")]
    IdEmpty,
    #[error("a user id has {length} characters, the protocol's limit is {MAX_ID_CHARACTERS}")]
    IdTooLong { length: usize },
    /// The id of a sign-in has a character that a channel name cannot have.
    #[error("the user id contains {0:?}; allowed are letters, digits and _ - = @ , . ;")]
    IdCharacter(char),
    #[error("watchlist must be an array of user ids")]
    Watchlist,
    #[error("channels must be an array of channel patterns")]
    Channels,
    #[error("channels has {count} patterns, the limit is {limit} (app setting max_subscriptions)")]
    TooManyChannels { count: usize, limit: usize },
    #[error("a channel pattern has {length} characters, the limit is {limit} (app setting max_channel_name_length)")]
    ChannelTooLong { length: usize, limit: usize },
    #[error(transparent)]
    ChannelPattern(#[from] InvalidPattern),
}

impl MemberClaim {
    /// Reads `channel_data`.
    pub fn parse(channel_data: &str) -> Result<Self, InvalidClaim> {
        let claim = Object::parse(channel_data).map_err(|_| InvalidClaim::NotAnObject)?;
        let id = user_id(claim.get("user_id").ok_or(InvalidClaim::NoId("user_id"))?)?;
        Ok(Self { id, info: user_info(&claim) })
    }
}

impl UserClaim {
    /// Reads `user_data`.
    pub fn parse(user_data: &str, limits: ChannelLimits) -> Result<Self, InvalidClaim> {
        let claim = Object::parse(user_data).map_err(|_| InvalidClaim::NotAnObject)?;
        let raw_id = claim.get("id").ok_or(InvalidClaim::NoId("id"))?;
        let id = user_id(raw_id)?;
        if let Err(InvalidChannelName::Character(character)) = ChannelName::of_user(&id) {
            return Err(InvalidClaim::IdCharacter(character));
        }
        let (watchlist, truncated_watchlist) = watchlist(&claim)?;
        let (info, channels, echo) = (user_info(&claim), channels(&claim, limits)?, echo(user_data, raw_id));
        Ok(Self { id, info, watchlist, channels, truncated_watchlist, echo })
    }
}

fn user_id(value: &RawValue) -> Result<String, InvalidClaim> {
    if !value.get().starts_with(|c: char| c == '"' || c == '-' || c.is_ascii_digit()) {
        return Err(InvalidClaim::IdType);
    }
    let id = unquoted(value).ok_or(InvalidClaim::IdType)?;
    match id.chars().count() {
        0 => Err(InvalidClaim::IdEmpty),
        1..=MAX_ID_CHARACTERS => Ok(id.into_owned()),
        length => Err(InvalidClaim::IdTooLong { length }),
    }
}

fn user_info(claim: &Object<'_>) -> String {
    claim.get("user_info").map_or("{}", RawValue::get).to_owned()
}

/// The ids that are kept, and whether any were not.
fn watchlist(claim: &Object<'_>) -> Result<(Vec<String>, bool), InvalidClaim> {
    let Some(value) = claim.get("watchlist").filter(|value| !is_null(value)) else {
        return Ok((Vec::new(), false));
    };
    let ids: Vec<&RawValue> = serde_json::from_str(value.get()).map_err(|_| InvalidClaim::Watchlist)?;
    let kept = ids.iter().take(MAX_WATCHLIST).map(|id| user_id(id)).collect::<Result<_, _>>()?;
    Ok((kept, ids.len() > MAX_WATCHLIST))
}

/// A list over a limit is refused, not cut: which of its channels were lost would be a riddle.
fn channels(claim: &Object<'_>, limits: ChannelLimits) -> Result<ChannelPatterns, InvalidClaim> {
    let Some(value) = claim.get("channels").filter(|value| !is_null(value)) else {
        return Ok(ChannelPatterns::default());
    };
    let patterns: Vec<String> = serde_json::from_str(value.get()).map_err(|_| InvalidClaim::Channels)?;
    let (count, limit) = (patterns.len(), limits.count);
    if count > limit {
        return Err(InvalidClaim::TooManyChannels { count, limit });
    }
    let channels = ChannelPatterns::parse(patterns.iter().map(String::as_str))?;
    // Every character that a pattern may have is one byte.
    match patterns.iter().map(String::len).max() {
        Some(length) if length > limits.length => Err(InvalidClaim::ChannelTooLong { length, limit: limits.length }),
        Some(_) | None => Ok(channels),
    }
}

/// `user_data` with quotes around `id` if it has none. `id` is a part of that very text: its address tells where.
fn echo(user_data: &str, id: &RawValue) -> String {
    let id = id.get();
    if id.starts_with('"') {
        return user_data.to_owned();
    }
    let start = id.as_ptr().addr() - user_data.as_ptr().addr();
    let (before, after) = (&user_data[..start], &user_data[start + id.len()..]);
    format!("{before}\"{id}\"{after}")
}

#[cfg(test)]
mod tests {
    use super::*;

    const LIMITS: ChannelLimits = ChannelLimits { count: 3, length: 20 };

    fn user(user_data: &str) -> Result<UserClaim, InvalidClaim> {
        UserClaim::parse(user_data, LIMITS)
    }

    #[track_caller]
    fn check_member(channel_data: &str, id: &str, info: &str) {
        let expected = MemberClaim { id: id.to_owned(), info: info.to_owned() };
        assert_eq!(MemberClaim::parse(channel_data), Ok(expected), "{channel_data}");
    }

    #[track_caller]
    fn check_echo(user_data: &str, echo: &str) {
        assert_eq!(user(user_data).unwrap().echo, echo);
    }

    #[test]
    fn ids_become_strings_and_numbers_keep_their_text() {
        for (id, text) in [
            (r#""42""#, "42"),
            ("42", "42"),
            ("0", "0"),
            ("-7", "-7"),
            ("1.0", "1.0"),
            ("12345678901234567890123", "12345678901234567890123"),
            (r#""1234.5678""#, "1234.5678"),
            (r#""\u00e9 {\"""#, "é {\""),
        ] {
            check_member(&format!(r#"{{"user_id":{id},"user_info":{{}}}}"#), text, "{}");
        }
    }

    #[test]
    fn user_info_keeps_its_text() {
        for info in [r#"{"name": "B\u00f6b\/", "n":1.50}"#, "true", "null", "[]", r#""Ada""#, "{}"] {
            check_member(&format!(r#"{{"user_info": {info} ,"user_id":"42"}}"#), "42", info);
        }
    }

    #[test]
    fn missing_user_info_is_an_empty_object() {
        check_member(r#"{"user_id":"42"}"#, "42", "{}");
    }

    #[test]
    fn an_id_of_another_type_is_refused() {
        for id in ["true", "false", "null", "{}", "[]", r#"["42"]"#, r#""\ud800""#] {
            assert_eq!(MemberClaim::parse(&format!(r#"{{"user_id":{id}}}"#)), Err(InvalidClaim::IdType), "{id}");
            assert_eq!(user(&format!(r#"{{"id":{id}}}"#)), Err(InvalidClaim::IdType), "{id}");
        }
    }

    #[test]
    fn an_id_has_1_to_128_characters() {
        let member = |id: &str| MemberClaim::parse(&format!(r#"{{"user_id":"{id}"}}"#)).map(|claim| claim.id);
        let user_id = |id: &str| user(&format!(r#"{{"id":"{id}"}}"#)).map(|claim| claim.id);
        assert_eq!(member(""), Err(InvalidClaim::IdEmpty));
        assert_eq!(user_id(""), Err(InvalidClaim::IdEmpty));
        assert_eq!(member(&"é".repeat(128)), Ok("é".repeat(128)));
        assert_eq!(user_id(&"x".repeat(128)), Ok("x".repeat(128)));
        assert_eq!(member(&"é".repeat(129)), Err(InvalidClaim::IdTooLong { length: 129 }));
        assert_eq!(user_id(&"x".repeat(129)), Err(InvalidClaim::IdTooLong { length: 129 }));
    }

    #[test]
    fn a_text_that_names_nobody_is_refused() {
        for text in ["", "42", "[]", r#""{}""#, "{", "null"] {
            assert_eq!(MemberClaim::parse(text), Err(InvalidClaim::NotAnObject), "{text:?}");
            assert_eq!(user(text), Err(InvalidClaim::NotAnObject), "{text:?}");
        }
        assert_eq!(MemberClaim::parse(r#"{"id":"42"}"#), Err(InvalidClaim::NoId("user_id")));
        assert_eq!(user(r#"{"user_id":"42"}"#), Err(InvalidClaim::NoId("id")));
    }

    #[test]
    fn a_user_is_read_whole() {
        let user_data = r#"{"id":"42","user_info":{"name": "Ada"},"watchlist":["7",9]}"#;
        let expected = UserClaim {
            id: "42".to_owned(),
            info: r#"{"name": "Ada"}"#.to_owned(),
            watchlist: vec!["7".to_owned(), "9".to_owned()],
            channels: ChannelPatterns::default(),
            truncated_watchlist: false,
            echo: user_data.to_owned(),
        };
        assert_eq!(user(user_data), Ok(expected));
    }

    #[test]
    fn a_sign_in_id_that_no_channel_name_can_carry_is_refused() {
        assert_eq!(user(r#"{"id":"a|b"}"#), Err(InvalidClaim::IdCharacter('|')));
        assert_eq!(user(r#"{"id":1e+3}"#), Err(InvalidClaim::IdCharacter('+')));
        assert_eq!(user(r#"{"id":"ada@example.com"}"#).unwrap().id, "ada@example.com");
    }

    #[test]
    fn a_string_id_is_echoed_byte_for_byte() {
        for text in [r#"{"id":"42"}"#, r#" { "x" : [1, 2.0] , "id" : "\u0034\u0032" } "#] {
            check_echo(text, text);
        }
    }

    #[test]
    fn a_number_id_is_echoed_as_a_string_and_nothing_else_changes() {
        check_echo(r#"{"id":42}"#, r#"{"id":"42"}"#);
        check_echo(
            r#" {"n":"é","x":{"id":42}, "id" : 42 ,"user_info":{"id":42,"s":"\/"}} "#,
            r#" {"n":"é","x":{"id":42}, "id" : "42" ,"user_info":{"id":42,"s":"\/"}} "#,
        );
        check_echo(r#"{"id":1,"id":2}"#, r#"{"id":1,"id":"2"}"#);
    }

    #[test]
    fn the_first_hundred_of_a_watchlist_are_kept() {
        let watched = |count: usize| {
            let ids: Vec<String> = (0..count).map(|id| format!("\"{id}\"")).collect();
            user(&format!(r#"{{"id":"42","watchlist":[{}]}}"#, ids.join(","))).unwrap()
        };
        let (full, over) = (watched(100), watched(101));
        assert_eq!((full.watchlist.len(), full.truncated_watchlist), (100, false));
        assert_eq!((over.watchlist, over.truncated_watchlist), (full.watchlist, true));
    }

    #[test]
    fn a_watchlist_may_be_absent_null_or_empty() {
        for member in ["", r#","watchlist":null"#, r#","watchlist":[]"#] {
            assert!(user(&format!(r#"{{"id":"42"{member}}}"#)).unwrap().watchlist.is_empty());
        }
    }

    #[test]
    fn a_watchlist_of_anything_but_ids_is_refused() {
        for (watchlist, refusal) in [
            ("{}", InvalidClaim::Watchlist),
            (r#""7""#, InvalidClaim::Watchlist),
            ("[null]", InvalidClaim::IdType),
            (r#"[""]"#, InvalidClaim::IdEmpty),
        ] {
            let text = format!(r#"{{"id":"42","watchlist":{watchlist}}}"#);
            assert_eq!(user(&text), Err(refusal), "{text}");
        }
    }

    #[test]
    fn channels_are_patterns_and_may_be_absent_null_or_empty() {
        let channels = |text: &str| user(&format!(r#"{{"id":"42"{text}}}"#)).unwrap().channels;
        let expected = ChannelPatterns::parse(["private-orders.*", "presence-room"]).unwrap();
        assert_eq!(channels(r#","channels":["private-orders.*","presence-room"]"#), expected);
        for none in ["", r#","channels":null"#, r#","channels":[]"#] {
            assert_eq!(channels(none), ChannelPatterns::default(), "{none}");
        }
    }

    #[test]
    fn channels_that_are_no_patterns_or_over_a_limit_are_refused() {
        let refusal =
            |channels: &str| user(&format!(r#"{{"id":"42","channels":{channels}}}"#)).unwrap_err().to_string();
        for other in ["{}", r#""private-a""#, "[7]", "[null]", r#"["\ud800"]"#, "[[]]", "true"] {
            assert_eq!(refusal(other), "channels must be an array of channel patterns", "{other}");
        }
        assert_eq!(refusal(r#"[""]"#), "a channel pattern is empty");
        let text = "a channel pattern contains '#'; allowed are letters, digits and _ - = @ , . ; *";
        assert_eq!(refusal(r##"["#server-to-user-7"]"##), text);
        let text = "channels has 4 patterns, the limit is 3 (app setting max_subscriptions)";
        assert_eq!(refusal(r#"["a","b","c","d"]"#), text);
        let text = "a channel pattern has 21 characters, the limit is 20 (app setting max_channel_name_length)";
        assert_eq!(refusal(&format!(r#"["a","{}"]"#, "x".repeat(21))), text);
        assert!(user(&format!(r#"{{"id":"42","channels":["a","b","{}"]}}"#, "x".repeat(20))).is_ok());
    }

    #[test]
    fn bombs_are_skipped_or_refused() {
        let bomb = format!("{}{}", "[".repeat(10_000), "]".repeat(10_000));
        check_member(&format!(r#"{{"user_id":"42","user_info":{bomb}}}"#), "42", &bomb);
        assert_eq!(user(&format!(r#"{{"id":{bomb}}}"#)), Err(InvalidClaim::IdType));
        let watchlist = format!(r#"{{"id":"42","watchlist":{bomb}}}"#);
        assert_eq!(user(&watchlist), Err(InvalidClaim::IdType));
        let channels = format!(r#"{{"id":"42","channels":{bomb}}}"#);
        assert_eq!(user(&channels), Err(InvalidClaim::Channels));
    }
}
