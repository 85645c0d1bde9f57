//! Frames of a socket: however the network cuts them, the same messages come out.
#![no_main]

use gaung::{
    protocol::Close,
    session::reader::{FrameReader, Incoming},
};
use libfuzzer_sys::fuzz_target;

const LIMIT: usize = 1_000;

fuzz_target!(|input: (u8, &[u8])| {
    let (size, bytes) = input;
    let whole = read([bytes]);
    assert_eq!(whole, read(bytes.chunks(usize::from(size) + 1)));
    let longest = |incoming: &Incoming| match incoming {
        Incoming::Text(text) => text.len(),
        Incoming::Binary(payload) | Incoming::Ping(payload) => payload.len(),
        _ => 0,
    };
    assert!(whole.iter().map(longest).all(|length| length <= LIMIT));
});

fn read<'a>(pieces: impl IntoIterator<Item = &'a [u8]>) -> Vec<Incoming> {
    let (mut reader, mut ready) = (FrameReader::new(LIMIT), Vec::new());
    for piece in pieces {
        reader.push(piece);
        ready.extend(reader.by_ref());
    }
    // Which of two faults of one frame is seen first depends on how much of it has come.
    if let Some(broken @ Incoming::Broken(_)) = ready.last_mut() {
        *broken = Incoming::Broken(Close::ProtocolViolation);
    }
    ready
}
