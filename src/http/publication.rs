//! What a back end posts, checked and turned into events (protocol.md §3.2, §3.3). Pure.
//!
//! Reading has three steps, because a refused size goes before a refused rate, and that before everything else:
//! JSON → [`PostedEvent`] → [`SizedEvent`] → [`Event`]s.

use std::{borrow::Cow, collections::HashSet};

use gaung_cluster::frame::is_key;
use serde::{Deserialize, Deserializer};
use serde_json::value::RawValue;

use super::{attributes::Attributes, invalid_event::InvalidEvent};
use crate::{
    config::AppSettings,
    event::{Event, Moment, Words},
    protocol::{ChannelName, SocketId},
};

/// Text that is borrowed from the body unless JSON escapes made a copy necessary.
#[derive(Debug, Deserialize)]
#[serde(transparent)]
struct Text<'a>(#[serde(borrow)] Cow<'a, str>);

/// One event as it was posted; nothing is checked but the JSON.
#[derive(Debug, Deserialize)]
pub struct PostedEvent<'a> {
    #[serde(borrow)]
    name: Option<Text<'a>>,
    #[serde(borrow, default, deserialize_with = "even_null")]
    data: Option<&'a RawValue>,
    #[serde(borrow)]
    channel: Option<Text<'a>>,
    #[serde(borrow)]
    channels: Option<Vec<Text<'a>>>,
    // Raw, because whatever is not a socket id is ignored: applications send `undefined`, null and numbers.
    #[serde(borrow)]
    socket_id: Option<&'a RawValue>,
    #[serde(borrow)]
    info: Option<Text<'a>>,
    #[serde(borrow)]
    idempotency_key: Option<Text<'a>>,
}

/// A batch as it was posted.
#[derive(Debug, Deserialize)]
pub struct PostedBatch<'a> {
    #[serde(borrow)]
    batch: Vec<PostedEvent<'a>>,
    #[serde(borrow)]
    idempotency_key: Option<Text<'a>>,
}

/// An event whose `data` is a string within the app's limit.
#[derive(Debug)]
pub struct SizedEvent<'a> {
    posted: PostedEvent<'a>,
    data: Cow<'a, str>,
}

impl<'a> PostedEvent<'a> {
    /// Reads the body of `POST /events`.
    pub fn read(body: &'a [u8]) -> Result<Self, InvalidEvent> {
        serde_json::from_slice(body).map_err(not_json)
    }

    /// What makes the post one that is published once.
    pub fn idempotency_key(&self) -> Result<Option<&str>, InvalidEvent> {
        checked(self.idempotency_key.as_ref())
    }

    /// Makes `data` a string and measures it.
    pub fn sized(self, limits: &AppSettings) -> Result<SizedEvent<'a>, InvalidEvent> {
        let data = stringify(self.data.ok_or(InvalidEvent::Missing("data"))?)?;
        let (bytes, limit) = (data.len(), limits.max_event_bytes);
        if bytes > limit {
            return Err(InvalidEvent::TooLarge { bytes, limit });
        }
        Ok(SizedEvent { posted: self, data })
    }
}

impl<'a> PostedBatch<'a> {
    /// Reads the body of `POST /batch_events`.
    pub fn read(body: &'a [u8]) -> Result<Self, InvalidEvent> {
        serde_json::from_slice(body).map_err(not_json)
    }

    /// What makes the batch one that is published once.
    pub fn idempotency_key(&self) -> Result<Option<&str>, InvalidEvent> {
        if self.batch.iter().any(|event| event.idempotency_key.is_some()) {
            return Err(InvalidEvent::KeyInBatch);
        }
        checked(self.idempotency_key.as_ref())
    }

    /// Makes `data` of each event a string and measures it.
    pub fn sized(self, limits: &AppSettings) -> Result<Vec<SizedEvent<'a>>, InvalidEvent> {
        let (count, limit) = (self.batch.len(), limits.max_batch_events);
        if count > limit {
            return Err(InvalidEvent::BatchTooLarge { count, limit });
        }
        self.batch.into_iter().map(|event| event.sized(limits)).collect()
    }
}

impl SizedEvent<'_> {
    /// What the event counts in the app's rate: its channels, valid or not.
    pub fn tokens(&self) -> usize {
        self.posted.channels.as_ref().map_or(1, Vec::len)
    }

    /// What the publisher wants to know about the channels.
    pub fn attributes(&self) -> Attributes {
        self.posted.info.as_ref().map_or(Attributes::default(), |list| Attributes::parse(&list.0))
    }

    /// One event per channel, each channel once.
    pub fn events(&self, limits: &AppSettings, accepted: Moment) -> Result<Vec<Event>, InvalidEvent> {
        let words = Words::new(self.name(limits)?, &*self.data);
        let except = self.except();
        let event = |channel| Event::from_back_end(channel, words.clone(), except, accepted);
        Ok(self.channels(limits)?.into_iter().map(event).collect())
    }

    fn name(&self, limits: &AppSettings) -> Result<&str, InvalidEvent> {
        let name = &*self.posted.name.as_ref().ok_or(InvalidEvent::Missing("name"))?.0;
        if name.is_empty() {
            return Err(InvalidEvent::NameEmpty);
        }
        let (length, limit) = (name.chars().count(), limits.max_event_name_length);
        if length > limit {
            return Err(InvalidEvent::NameTooLong { length, limit });
        }
        if name.starts_with("pusher:") || name.starts_with("pusher_internal:") {
            return Err(InvalidEvent::NameReserved(name.to_owned()));
        }
        Ok(name)
    }

    fn channels(&self, limits: &AppSettings) -> Result<Vec<ChannelName>, InvalidEvent> {
        let parse = |name: &Text<'_>| {
            ChannelName::parse(&name.0, limits.max_channel_name_length).map_err(InvalidEvent::Channel)
        };
        let Some(names) = &self.posted.channels else {
            let name = self.posted.channel.as_ref().ok_or(InvalidEvent::Missing("channel and no channels"))?;
            return Ok(vec![parse(name)?]);
        };
        let (count, limit) = (names.len(), limits.max_event_channels);
        match count {
            0 => return Err(InvalidEvent::NoChannels),
            1 => return Ok(vec![parse(&names[0])?]),
            count if count > limit => return Err(InvalidEvent::TooManyChannels { count, limit }),
            _ => {}
        }
        let mut seen = HashSet::with_capacity(count);
        names.iter().filter(|name| seen.insert(&*name.0)).map(parse).collect()
    }

    fn except(&self) -> Option<SocketId> {
        let text: Text<'_> = serde_json::from_str(self.posted.socket_id?.get()).ok()?;
        text.0.parse().ok()
    }
}

fn checked<'a>(key: Option<&'a Text<'_>>) -> Result<Option<&'a str>, InvalidEvent> {
    let Some(Text(key)) = key else { return Ok(None) };
    if is_key(key) { Ok(Some(key)) } else { Err(InvalidEvent::Key { length: key.chars().count() }) }
}

/// A string as it is, anything else as the JSON text that was received.
fn stringify(value: &RawValue) -> Result<Cow<'_, str>, InvalidEvent> {
    if !value.get().starts_with('"') {
        return Ok(Cow::Borrowed(value.get()));
    }
    let text: Text<'_> = serde_json::from_str(value.get()).map_err(not_json)?;
    Ok(text.0)
}

/// The parser may quote what it read, at any length.
fn not_json(error: serde_json::Error) -> InvalidEvent {
    InvalidEvent::Json(error.to_string().chars().take(200).collect())
}

/// Keeps `null`, which is a payload like any other, apart from an absent field.
fn even_null<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<&'de RawValue>, D::Error> {
    Deserialize::deserialize(deserializer).map(Some)
}

#[cfg(test)]
mod tests {
    use std::time::{Duration, Instant};

    use super::*;

    const ACCEPTED: Duration = Duration::from_secs(1_700_000_000);

    fn limits() -> AppSettings {
        AppSettings { max_event_bytes: 20, max_event_channels: 3, max_batch_events: 2, ..AppSettings::new("k", "s") }
    }

    /// Each event as `channel name data`, and ` !socket` where one is left out.
    fn publish(body: &str) -> Result<Vec<String>, InvalidEvent> {
        let events =
            PostedEvent::read(body.as_bytes())?.sized(&limits())?.events(&limits(), (Instant::now(), ACCEPTED))?;
        Ok(events.iter().map(shown).collect())
    }

    fn shown(event: &Event) -> String {
        let except = event.except.map(|socket| format!(" !{socket}")).unwrap_or_default();
        format!("{} {} {}{except}", event.channel, event.words.name, event.words.data)
    }

    fn check(body: &str, expected: &[&str]) {
        assert_eq!(
            publish(body).as_deref(),
            Ok(&expected.iter().map(|&text| text.to_owned()).collect::<Vec<_>>()[..]),
            "{body}"
        );
    }

    fn check_refused(body: &str, expected: &str) {
        assert_eq!(publish(body).unwrap_err().to_string(), expected, "{body}");
    }

    #[test]
    fn one_channel_or_several_and_channels_wins() {
        check(r#"{"name":"e","data":"d","channel":"a"}"#, &["a e d"]);
        check(r#"{"name":"e","data":"d","channels":["a"]}"#, &["a e d"]);
        check(r#"{"name":"e","data":"d","channels":["a","private-b"]}"#, &["a e d", "private-b e d"]);
        check(r#"{"name":"e","data":"d","channels":["a"],"channel":"b"}"#, &["a e d"]);
        check(r#"{"name":"e","data":"d","channels":null,"channel":"b"}"#, &["b e d"]);
        check(r##"{"name":"e","data":"d","channels":["#server-to-user-7","a"]}"##, &["#server-to-user-7 e d", "a e d"]);
    }

    #[test]
    fn a_channel_that_is_named_twice_gets_the_event_once() {
        check(r#"{"name":"e","data":"d","channels":["a","b","a"]}"#, &["a e d", "b e d"]);
    }

    #[test]
    fn string_data_is_what_laravel_encoded_and_other_data_is_the_json_as_received() {
        check(
            r#"{"name":"App\\Events\\Shipped","data":"{\"n\":\"\\u00e9\\\/x\"}","channel":"a"}"#,
            &[r#"a App\Events\Shipped {"n":"\u00e9\/x"}"#],
        );
        check(r#"{"name":"e","data":"","channel":"a"}"#, &["a e "]);
        check(r#"{"name":"e","data":{"b":1.0,"a":[]},"channel":"a"}"#, &[r#"a e {"b":1.0,"a":[]}"#]);
        check(r#"{"name":"e","data":7,"channel":"a"}"#, &["a e 7"]);
        check(r#"{"name":"e","data":null,"channel":"a"}"#, &["a e null"]);
    }

    #[test]
    fn the_frame_is_ready_when_the_event_is_made() {
        let posted = PostedEvent::read(br#"{"name":"e","data":"{\"a\":1}","channel":"a"}"#).unwrap();
        let events = posted.sized(&limits()).unwrap().events(&limits(), (Instant::now(), ACCEPTED)).unwrap();
        let json: serde_json::Value = serde_json::from_slice(&events[0].clone().encode().frame[2..]).unwrap();
        assert_eq!(json, serde_json::json!({"event": "e", "channel": "a", "data": "{\"a\":1}"}));
        assert_eq!(events[0].accepted_at, ACCEPTED);
    }

    #[test]
    fn a_socket_is_left_out_if_it_has_a_name_that_a_socket_can_have() {
        check(r#"{"name":"e","data":"d","channel":"a","socket_id":"12.34"}"#, &["a e d !12.34"]);
        for rubbish in [r#""undefined""#, "null", "12.34", "{}", r#""""#] {
            check(&format!(r#"{{"name":"e","data":"d","channel":"a","socket_id":{rubbish}}}"#), &["a e d"]);
        }
    }

    #[test]
    fn an_event_that_breaks_a_rule_is_refused_with_limit_value_and_setting() {
        check_refused(r#"{"data":"d","channel":"a"}"#, "the event has no name");
        check_refused(r#"{"name":"e","channel":"a"}"#, "the event has no data");
        check_refused(r#"{"name":"e","data":"d"}"#, "the event has no channel and no channels");
        check_refused(r#"{"name":"","data":"d","channel":"a"}"#, "the event name is empty");
        check_refused(r#"{"name":"e","data":"d","channels":[]}"#, "the event names no channel");
        check_refused(
            r#"{"name":"e","data":"123456789012345678901","channel":"a"}"#,
            "the data content of this event has 21 bytes, the limit is 20 (app setting max_event_bytes)",
        );
        check_refused(
            r#"{"name":"e","data":"d","channels":["a","b","c","d"]}"#,
            "the event names 4 channels, the limit is 3 (app setting max_event_channels)",
        );
        check_refused(
            &format!(r#"{{"name":"{}","data":"d","channel":"a"}}"#, "é".repeat(201)),
            "the event name has 201 characters, the limit is 200 (app setting max_event_name_length)",
        );
        check_refused(
            r#"{"name":"e","data":"d","channels":["a","b c"]}"#,
            "the channel name contains ' '; allowed are letters, digits and _ - = @ , . ;",
        );
    }

    #[test]
    fn names_of_the_server_are_reserved() {
        for name in ["pusher:ping", "pusher_internal:subscription_succeeded"] {
            let body = format!(r#"{{"name":"{name}","data":"d","channel":"a"}}"#);
            assert_eq!(publish(&body), Err(InvalidEvent::NameReserved(name.to_owned())));
        }
        check(r#"{"name":"pusher","data":"d","channel":"a"}"#, &["a pusher d"]);
    }

    #[test]
    fn escapes_do_not_count_in_the_size_but_bytes_do() {
        check(r#"{"name":"e","data":"\u0061\u0061\u0061\u0061","channel":"a"}"#, &["a e aaaa"]);
        let eleven = format!(r#"{{"name":"e","data":"{}","channel":"a"}}"#, "é".repeat(11));
        assert_eq!(publish(&eleven), Err(InvalidEvent::TooLarge { bytes: 22, limit: 20 }));
    }

    #[test]
    fn what_is_not_the_expected_json_is_refused() {
        for body in [
            "",
            "[]",
            "null",
            "{",
            r#"{"name":7}"#,
            r#"{"channels":"a"}"#,
            "{\"name\":\"\u{1}\"}",
            r#"{"data":"\ud800"}"#,
        ] {
            assert!(matches!(publish(body), Err(InvalidEvent::Json(_))), "{body}");
        }
        assert!(matches!(PostedEvent::read(b"{\"name\":\"\xff\"}"), Err(InvalidEvent::Json(_))));
    }

    #[test]
    fn the_parsers_words_are_cut_when_they_quote_the_body() {
        let body = format!(r#"{{"channels":"{}"}}"#, "x".repeat(1_000));
        assert!(publish(&body).unwrap_err().to_string().len() < 300);
    }

    #[test]
    fn deep_nesting_is_data_like_any_other() {
        let limits = AppSettings { max_event_bytes: 1_000_000, ..limits() };
        let body = format!(r#"{{"name":"e","data":{}{},"channel":"a"}}"#, "[".repeat(100_000), "]".repeat(100_000));
        let posted = PostedEvent::read(body.as_bytes()).unwrap().sized(&limits).unwrap();
        assert_eq!(posted.events(&limits, (Instant::now(), ACCEPTED)).unwrap()[0].words.data.len(), 200_000);
    }

    fn batch(body: &str) -> Result<usize, InvalidEvent> {
        PostedBatch::read(body.as_bytes())?.sized(&limits()).map(|events| events.len())
    }

    #[test]
    fn a_batch_has_a_limit_and_each_of_its_events_too() {
        let event = r#"{"name":"e","data":"d","channel":"a"}"#;
        let large = r#"{"name":"e","data":"123456789012345678901","channel":"a"}"#;
        assert_eq!(batch(r#"{"batch":[]}"#), Ok(0));
        assert_eq!(batch(&format!(r#"{{"batch":[{event},{event}]}}"#)), Ok(2));
        assert_eq!(
            batch(&format!(r#"{{"batch":[{event},{event},{event}]}}"#)).unwrap_err().to_string(),
            "Batch too large: it has 3 events, the limit is 2 (app setting max_batch_events)"
        );
        assert_eq!(
            batch(&format!(r#"{{"batch":[{event},{large}]}}"#)),
            Err(InvalidEvent::TooLarge { bytes: 21, limit: 20 })
        );
        assert!(matches!(batch(event), Err(InvalidEvent::Json(_))));
    }

    #[test]
    fn an_idempotency_key_is_a_text_of_1_to_128_characters_and_a_batch_has_one_for_all() {
        let event = |key: &str| {
            let body = format!(r#"{{"name":"e","data":"d","channel":"a","idempotency_key":{key}}}"#);
            PostedEvent::read(body.as_bytes())?.idempotency_key().map(|key| key.map(str::to_owned))
        };
        assert_eq!(event("null"), Ok(None));
        assert_eq!(event(r#""order-7""#), Ok(Some("order-7".to_owned())));
        assert_eq!(event(&format!("\"{}\"", "é".repeat(128))), Ok(Some("é".repeat(128))));
        assert_eq!(event(&format!("\"{}\"", "é".repeat(129))), Err(InvalidEvent::Key { length: 129 }));
        assert_eq!(event(r#""""#), Err(InvalidEvent::Key { length: 0 }));
        assert!(matches!(event("7"), Err(InvalidEvent::Json(_))));
        let batch = |body: &str| {
            PostedBatch::read(body.as_bytes())
                .and_then(|batch| batch.idempotency_key().map(|key| key.map(str::to_owned)))
        };
        assert_eq!(batch(r#"{"batch":[],"idempotency_key":"b"}"#), Ok(Some("b".to_owned())));
        assert_eq!(batch(r#"{"batch":[{"name":"e","idempotency_key":"b"}]}"#), Err(InvalidEvent::KeyInBatch));
    }

    #[test]
    fn an_event_counts_its_channels() {
        let tokens = |body: &str| PostedEvent::read(body.as_bytes()).unwrap().sized(&limits()).unwrap().tokens();
        assert_eq!(tokens(r#"{"name":"e","data":"d","channel":"a"}"#), 1);
        assert_eq!(tokens(r#"{"name":"e","data":"d","channels":["a","b"],"channel":"c"}"#), 2);
    }
}
