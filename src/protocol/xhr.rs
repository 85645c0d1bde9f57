//! The wire of the HTTP transports that pusher-js has for networks without WebSockets (protocol.md §1.17): the lines of an
//! answer, and the messages of a request. Pure.

use bytes::Bytes;

use super::frame::{self, Said};

/// How long an answer may be, in UTF-16 units: a client drops a longer one, and goes on with the next.
pub const FULL: usize = 262_144;

/// The first line of a session: its client may send from now on.
pub const OPEN: &[u8] = b"o{}\n";

/// The last line of a poll to which nothing came.
pub const NOTHING_CAME: &[u8] = b"h\n";

/// A sign of life that clients do not answer.
pub const ALIVE: &str = " \n";

/// A line for proxies that pass nothing on before they have so many bytes.
pub const PADDING: &[u8; 2_049] = &{
    let mut line = [b' '; 2_049];
    line[2_048] = b'\n';
    line
};

/// A request that holds no messages.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("the body must be a JSON array of strings, each of them a message: {0}")]
pub struct InvalidSend(String);

/// Lines of an answer, as its client counts them.
#[derive(Debug, Default)]
pub struct Lines {
    pub text: String,
    /// UTF-16 units of all that was taken so far.
    pub units: usize,
}

impl Lines {
    /// Adds what the first frame of these is to such a client, as a line of its own: a handler that throws makes its client
    /// forget the rest of a line.
    pub fn take_frame(&mut self, frames: &mut Bytes) {
        match frame::take(frames) {
            Some(Said::Text(message)) => self.push_message(&message),
            Some(Said::Ping) => self.push(ALIVE),
            Some(Said::Pong) => {}
            Some(Said::Close(code, reason)) => {
                let line = serde_json::json!([code.unwrap_or(1000), String::from_utf8_lossy(&reason)]);
                self.push(&format!("c{line}\n"));
            }
            None => frames.clear(),
        }
    }

    /// Adds a line that is written already.
    pub fn push(&mut self, line: &str) {
        self.text.push_str(line);
        self.units += units(line.as_bytes());
    }

    fn push_message(&mut self, message: &[u8]) {
        let Ok(message) = str::from_utf8(message) else { return };
        let line = serde_json::to_string(&[message]).expect("a text is JSON");
        self.text.reserve(line.len() + 2);
        self.text.push('a');
        self.text.push_str(&line);
        self.text.push('\n');
        self.units += units(line.as_bytes()) + 2;
    }

    /// Whether the client drops this answer once it has read it.
    pub fn are_full(&self) -> bool {
        self.units > FULL
    }
}

/// UTF-16 units of a text: one for each character, two for those of four bytes.
pub fn units(utf8: &[u8]) -> usize {
    utf8.iter().map(|byte| usize::from(byte & 0xC0 != 0x80) + usize::from(*byte >= 0xF0)).sum()
}

/// The messages of a request. None are a client's question for a sign of life.
pub fn messages(body: &[u8]) -> Result<Vec<String>, InvalidSend> {
    serde_json::from_slice(body).map_err(|error| InvalidSend(error.to_string()))
}

/// How many bytes the body of a request may have where a message may have so many: JSON doubles quotes and backslashes.
pub fn max_body(max_message: usize) -> usize {
    max_message.saturating_mul(2).saturating_add(1_024)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lines(frames: &[Bytes]) -> Lines {
        let mut frames = Bytes::from(frames.concat());
        let mut lines = Lines::default();
        while !frames.is_empty() {
            lines.take_frame(&mut frames);
        }
        lines
    }

    #[test]
    fn each_frame_is_a_line() {
        let sent = [
            frame::text(r#"{"event":"a","data":"\"x\\n\""}"#),
            frame::ping(&[]),
            frame::pong(b"x"),
            frame::text("b\r\n\u{2028}"),
            frame::close(Some(4001), "no \"app\""),
        ];
        let lines = lines(&sent);
        let expected = [
            r#"a["{\"event\":\"a\",\"data\":\"\\\"x\\\\n\\\"\"}"]"#,
            " ",
            "a[\"b\\r\\n\u{2028}\"]",
            r#"c[4001,"no \"app\""]"#,
        ];
        assert_eq!(lines.text.lines().collect::<Vec<_>>(), expected);
        assert_eq!(lines.units, lines.text.encode_utf16().count());
    }

    #[test]
    fn what_is_no_frame_ends_nothing_and_stays_nowhere() {
        assert_eq!(lines(&[Bytes::from_static(b"\x82\x01x"), frame::text("lost")]).text, "");
    }

    #[test]
    fn units_are_those_of_the_client() {
        for text in ["", "abc", "äöü", "日本語", "😀x😀", "\u{2028}"] {
            assert_eq!(units(text.as_bytes()), text.encode_utf16().count(), "{text:?}");
        }
    }

    #[test]
    fn an_answer_is_full_behind_the_line_that_passes_the_limit() {
        let line = frame::text(&"日".repeat(1_000));
        let mut lines = Lines::default();
        let mut count = 0;
        while !lines.are_full() {
            lines.take_frame(&mut line.clone());
            count += 1;
        }
        assert_eq!(count, FULL / 1_006 + 1);
        assert_eq!(lines.units, lines.text.encode_utf16().count());
    }

    #[test]
    fn a_request_is_an_array_of_texts() {
        assert_eq!(messages(br#"["{\"event\":\"pusher:ping\"}","b"]"#).unwrap(), [r#"{"event":"pusher:ping"}"#, "b"]);
        assert_eq!(messages(b"[]").unwrap(), Vec::<String>::new());
        for other in [&b""[..], b"{}", b"\"a\"", b"[1]", b"[\"a\"", b"[\"\xff\"]"] {
            let told = messages(other).unwrap_err().to_string();
            assert!(told.starts_with("the body must be a JSON array of strings"), "{told}");
        }
    }
}
