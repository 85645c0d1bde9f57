//! Counts the events of frames that the ring forgot, so that a peer which asks for them learns how many it has lost. A
//! few bytes for each frame, and for a bounded number of them.

use std::collections::VecDeque;

use super::Sent;
use crate::frame::{Gap, Stream};

/// Frames of which it is known: of what was evicted longer ago nothing is counted.
const MOST: usize = 1 << 19;

/// Frames that were evicted last, oldest first.
#[derive(Debug, Default)]
pub(super) struct EvictedFrames {
    frames: VecDeque<EvictedFrame>,
    /// The number behind the last of them.
    end: u64,
}

/// What is still known of a frame.
#[derive(Debug, Clone, Copy)]
struct EvictedFrame {
    /// Half of its stream's name: enough to tell streams apart where only a count depends on it.
    stream: u32,
    events: u8,
}

impl EvictedFrames {
    /// Notes that the frame with this number, the next one, is evicted.
    pub(super) fn add(&mut self, number: u64, sent: &Sent) {
        self.frames.push_back(EvictedFrame { stream: half(sent.stream), events: sent.events });
        self.end = number + 1;
        if self.frames.len() > MOST {
            self.frames.pop_front();
        }
    }

    /// The events of a gap's stream in those of its frames that stood before `first`.
    pub(super) fn events(&self, gap: Gap, first: u64) -> u64 {
        let (stream, start) = (half(gap.stream), self.end - self.frames.len() as u64);
        let index = |number: u64| usize::try_from(number.saturating_sub(start)).unwrap_or(usize::MAX);
        let end = index(first.min(gap.through + 1)).min(self.frames.len());
        let begin = index(gap.after + 1).min(end);
        let frames = self.frames.range(begin..end).filter(|frame| frame.stream == stream);
        frames.map(|frame| u64::from(frame.events)).sum()
    }
}

#[expect(clippy::cast_possible_truncation, reason = "half of it is meant")]
fn half(stream: Stream) -> u32 {
    stream.bits() as u32
}
