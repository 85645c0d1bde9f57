//! Messages of the server, as `gaung subscribe` reads and prints them. Pure: the caller brings the clock.

use std::{fmt::Write, time::Duration};

use serde::Deserialize;
use serde_json::{Value, json};

/// One message (protocol.md §1.3).
#[derive(Debug, Default, Deserialize)]
pub(super) struct Message {
    /// The event's id, or a position, where the channel keeps a history (protocol.md §1.15).
    pub id: Option<String>,
    pub event: String,
    pub channel: Option<String>,
    /// A JSON string, or an object in errors.
    pub data: Option<Value>,
    /// When the server took the event, in microseconds of the Unix epoch; only on traced sockets.
    accepted_at_us: Option<u64>,
}

impl Message {
    /// The payload as text.
    pub(super) fn text(&self) -> String {
        match &self.data {
            None => String::new(),
            Some(Value::String(text)) => text.clone(),
            Some(other) => other.to_string(),
        }
    }

    /// A member of the payload, which may be an object or a JSON string of one.
    pub(super) fn member(&self, name: &str) -> Option<Value> {
        let payload: Value = serde_json::from_str(&self.text()).ok()?;
        payload.get(name).cloned()
    }

    /// The code of an error (protocol.md §1.5).
    pub(super) fn code(&self) -> Option<u16> {
        let code = self.member("code").filter(|_| self.event == "pusher:error")?;
        code.as_u64().and_then(|code| u16::try_from(code).ok())
    }

    /// What goes wrong, if the message says so, and where.
    pub(super) fn problem(&self) -> Option<String> {
        let (text, code) = match self.event.as_str() {
            "pusher:error" => ("message", "code"),
            "pusher:subscription_error" => ("error", "status"),
            _ => return None,
        };
        let text = self.member(text).and_then(|text| Some(text.as_str()?.to_owned())).unwrap_or_else(|| self.text());
        let code = self.member(code).filter(|code| !code.is_null()).map(|code| format!(" ({code})"));
        let channel = self.channel.as_ref().map(|channel| format!("{channel}: "));
        Some(format!("{}{}{}", channel.unwrap_or_default(), printable(&text), code.unwrap_or_default()))
    }

    /// Whether it is an event that somebody published, and not the protocol's own.
    pub(super) fn is_published(&self) -> bool {
        !self.event.starts_with("pusher:") && !self.event.starts_with("pusher_internal:")
    }

    /// One line: time of day in UTC, channel, event, payload, and the time since the server took it. `now` is the time
    /// since the Unix epoch.
    pub(super) fn line(&self, now: Duration) -> String {
        let channel = self.channel.as_deref().unwrap_or("-");
        let mut line = format!("{}  {channel}  {}  {}", time_of_day(now), self.event, self.text());
        if let Some(latency) = self.latency(now) {
            let _ = write!(line, "  {latency:.2} ms");
        }
        printable(&line)
    }

    /// The same for programs: the payload as it came, times in milliseconds, and no latency where there is none.
    pub(super) fn object(&self, now: Duration) -> Value {
        let mut object = json!({
            "time_ms": now.as_millis() as u64,
            "channel": self.channel,
            "event": self.event,
            "data": self.text(),
        });
        if let Some(id) = &self.id {
            object["id"] = id.as_str().into();
        }
        if let Some(latency) = self.latency(now) {
            object["latency_ms"] = latency.into();
        }
        object
    }

    /// Milliseconds since the server took it, if the server says when. Two machines' clocks may disagree, so that it can
    /// be negative. `now` is the time since the Unix epoch.
    pub(super) fn latency(&self, now: Duration) -> Option<f64> {
        self.accepted_at_us.map(|accepted| (now.as_micros() as f64 - accepted as f64) / 1e3)
    }
}

fn time_of_day(now: Duration) -> String {
    let seconds = now.as_secs() % 86_400;
    let (hours, minutes) = (seconds / 3_600, seconds / 60 % 60);
    format!("{hours:02}:{minutes:02}:{:02}.{:03}Z", seconds % 60, now.subsec_millis())
}

/// What others sent must neither break the line nor reach the terminal as a command.
pub(super) fn printable(text: &str) -> String {
    text.chars().fold(String::with_capacity(text.len()), |mut line, character| {
        if character.is_control() {
            line.extend(character.escape_default());
        } else {
            line.push(character);
        }
        line
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: Duration = Duration::from_micros(1_700_000_000_123_456);

    fn parse(text: &str) -> Message {
        serde_json::from_str(text).unwrap()
    }

    fn check(message: &str, line: &str) {
        assert_eq!(parse(message).line(NOW), line);
    }

    #[test]
    fn an_event_is_one_line_with_its_latency() {
        check(
            r#"{"event":"product.updated","channel":"products.42","data":"{\"id\":7}","accepted_at_us":1700000000123146}"#,
            r#"22:13:20.123Z  products.42  product.updated  {"id":7}  0.31 ms"#,
        );
    }

    #[test]
    fn a_server_that_does_not_trace_shows_no_latency() {
        check(r#"{"event":"a","channel":"b","data":{"c":1}}"#, r#"22:13:20.123Z  b  a  {"c":1}"#);
        check(r#"{"event":"a"}"#, "22:13:20.123Z  -  a  ");
    }

    #[test]
    fn an_event_is_one_object_with_its_payload_as_text() {
        let text = r#"{"event":"a","channel":"b","data":"{\"c\":1}","accepted_at_us":1700000000122456}"#;
        let expected = r#"{"time_ms":1700000000123,"channel":"b","event":"a","data":"{\"c\":1}","latency_ms":1.0}"#;
        assert_eq!(parse(text).object(NOW), serde_json::from_str::<Value>(expected).unwrap());
        assert_eq!(parse(r#"{"event":"a"}"#).object(NOW).get("latency_ms"), None);
        assert_eq!(parse(r#"{"event":"a"}"#).object(NOW).get("id"), None);
        assert_eq!(parse(r#"{"id":"k3x09a-17","event":"a"}"#).object(NOW)["id"], "k3x09a-17");
    }

    #[test]
    fn control_characters_are_shown_and_not_sent_to_the_terminal() {
        check(r#"{"event":"a","channel":"b","data":"x\ny\u001b[2Jé"}"#, "22:13:20.123Z  b  a  x\\ny\\u{1b}[2Jé");
    }

    #[test]
    fn problems_say_where_and_what() {
        let problem = |text: &str| parse(text).problem();
        assert_eq!(
            problem(r#"{"event":"pusher:error","data":{"code":4001,"message":"Application does not exist"}}"#),
            Some("Application does not exist (4001)".to_owned())
        );
        assert_eq!(
            problem(r#"{"event":"pusher:error","data":{"code":null,"message":"no"},"channel":"a"}"#),
            Some("a: no".to_owned())
        );
        assert_eq!(
            problem(
                r#"{"event":"pusher:subscription_error","channel":"a","data":"{\"type\":\"AuthError\",\"error\":\"no\",\"status\":401}"}"#
            ),
            Some("a: no (401)".to_owned())
        );
        assert_eq!(problem(r#"{"event":"error","data":"{}"}"#), None);
    }

    #[test]
    fn the_protocols_own_messages_are_not_published_events() {
        for (event, published) in [
            ("product.updated", true),
            ("client-typing", true),
            ("pusher:cache_miss", false),
            ("pusher_internal:member_added", false),
        ] {
            let message = Message { event: event.to_owned(), ..Default::default() };
            assert_eq!(message.is_published(), published, "{event}");
        }
    }
}
