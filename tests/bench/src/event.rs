//! The event that is fanned out, and the mark by which a reader knows which one it got. Pure.

use bytes::Bytes;
use serde_json::json;

use gaung::protocol::frame;

/// The mark: `#` and the sequence number in eight hexadecimal digits, at the start of the event's data. No name
/// contains `#`, so that the first one in a frame is the mark.
const MARK: u8 = b'#';
const DIGITS: usize = 8;

/// The name of a channel.
pub fn channel_name(channel: u32) -> String {
    format!("bench-{channel:05}")
}

/// The body of the trigger request for event `sequence`, with `size` bytes of data.
pub fn trigger_body(channel: u32, sequence: u32, size: usize) -> String {
    json!({"name": "bench.tick", "channels": [channel_name(channel)], "data": marked(sequence, size)}).to_string()
}

/// The frame that the server makes of it, for the floor to send: the same bytes without the server's work.
pub fn ready_frame(channel: u32, sequence: u32, size: usize) -> Bytes {
    let text = format!(
        r#"{{"event":"bench.tick","channel":"{}","data":"{}"}}"#,
        channel_name(channel),
        marked(sequence, size)
    );
    frame::text(&text)
}

fn marked(sequence: u32, size: usize) -> String {
    format!("{:x<size$}", format!("#{sequence:08x}"))
}

/// Reads sequence numbers from payloads. Looks first where the last mark stood, for one position serves a whole run.
#[derive(Debug, Default)]
pub struct MarkReader {
    last: usize,
}

impl MarkReader {
    /// The sequence number; `None` for a payload that is not one of our events.
    pub fn sequence(&mut self, payload: &[u8]) -> Option<u32> {
        if payload.get(self.last) != Some(&MARK) {
            self.last = position(payload)?;
        }
        let digits = payload.get(self.last + 1..self.last + 1 + DIGITS)?;
        u32::from_str_radix(std::str::from_utf8(digits).ok()?, 16).ok()
    }
}

fn position(bytes: &[u8]) -> Option<usize> {
    bytes.iter().position(|byte| *byte == MARK)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::frames;

    fn read(frame: &[u8]) -> Option<u32> {
        let mut sequence = None;
        frames::scan(frame, |_, payload| sequence = MarkReader::default().sequence(payload));
        sequence
    }

    #[test]
    fn a_ready_frame_carries_its_number() {
        assert_eq!(read(&ready_frame(7, 42, 200)), Some(42));
    }

    #[test]
    fn a_reader_follows_a_mark_that_moves() {
        let mut reader = MarkReader::default();
        assert_eq!(reader.sequence(br##"{"data":"#00000001xx"}"##), Some(1));
        assert_eq!(reader.sequence(br##"{"channel":"a","data":"#00000002xx"}"##), Some(2));
        assert_eq!(reader.sequence(br#"{"event":"pusher:pong","data":"{}"}"#), None);
    }

    #[test]
    fn the_data_has_the_size_that_was_asked_for() {
        let body: serde_json::Value = serde_json::from_str(&trigger_body(3, 9, 200)).unwrap();
        assert_eq!(body["data"].as_str().map(str::len), Some(200));
        assert_eq!(body["channels"][0], "bench-00003");
    }
}
