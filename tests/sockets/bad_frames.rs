//! Frames that nobody should send (RFC 6455): the session ends as it must, and nobody else notices.

use serde_json::json;

use crate::{
    harness::{eventually, start},
    raw::{BINARY, Bystander, CLOSE, Dice, FIRST, LAST, MIDDLE, PING, PONG, Raw, TEXT, frame, header},
};

/// Sends these bytes on sockets of their own; each must be closed with this code, and the connection must end.
async fn check(code: u16, cases: &[(&str, Vec<u8>)]) {
    // Each of many small frames counts as a message.
    let node = start(|app| app.messages_per_second = None).await;
    let mut bystander = Bystander::watch(&node).await;
    for (what, bytes) in cases {
        let mut raw = Raw::greeted(&node).await;
        raw.send(bytes).await;
        assert_eq!(raw.close_code().await, Some(code), "{what}");
        assert_eq!(raw.rest().await, "", "{what}");
        bystander.publish(&node).await;
    }
    bystander.noticed_nothing(&node).await;
}

#[actix::test]
async fn frames_that_break_the_protocol_close_with_1002() {
    check(
        1002,
        &[
            ("unmasked", b"\x81\x02{}".to_vec()),
            ("reserved bit", frame(TEXT | 0x40, b"{}")),
            ("all reserved bits", frame(TEXT | 0x70, b"{}")),
            ("reserved opcode", frame(0x83, b"{}")),
            ("reserved control opcode", frame(0x8B, b"")),
            ("ping in fragments", frame(0x09, b"")),
            ("long ping", frame(PING, &[0; 126])),
            ("long close", frame(CLOSE, &[3; 126])),
            ("continuation of nothing", frame(LAST, b"{}")),
            ("message within a message", [frame(FIRST, b"{"), frame(TEXT, b"}")].concat()),
            ("fragments within fragments", [frame(FIRST, b"{"), frame(FIRST, b"}")].concat()),
        ],
    )
    .await;
}

#[actix::test]
async fn text_that_is_not_utf8_closes_with_1007() {
    check(
        1007,
        &[
            ("a byte that never occurs", frame(TEXT, b"\xFF")),
            ("an unfinished character", frame(TEXT, b"\xC3")),
            ("a surrogate", frame(TEXT, b"\xED\xA0\x80")),
            ("beyond Unicode", frame(TEXT, b"\xF4\x90\x80\x80")),
            ("an overlong form", frame(TEXT, b"{\"event\":\"\xC0\xAF\"}")),
            ("an unfinished character in fragments", [frame(FIRST, b"\xC3"), frame(LAST, b"")].concat()),
        ],
    )
    .await;
}

#[actix::test]
async fn a_length_over_the_limit_closes_with_1009_before_the_payload_comes() {
    let lengths = [65_537, 1 << 31, 1 << 32, 1 << 62, i64::MAX as u64];
    let cases: Vec<_> = [TEXT, BINARY, FIRST]
        .iter()
        .flat_map(|first| lengths.map(|length| ("a huge length", header(*first, length))))
        .collect();
    check(1009, &cases).await;
}

#[actix::test]
async fn fragments_that_grow_over_the_limit_close_with_1009() {
    let grown = [frame(FIRST, &[b'x'; 30_000]), frame(MIDDLE, &[b'x'; 30_000]), frame(MIDDLE, &[b'x'; 30_000])];
    let drops = [frame(FIRST, b""), frame(MIDDLE, b"x").repeat(65_537)];
    check(1009, &[("three large fragments", grown.concat()), ("many small fragments", drops.concat())]).await;
}

#[actix::test]
async fn a_close_frame_that_breaks_the_rules_is_not_echoed() {
    let close = |code: u16, reason: &[u8]| frame(CLOSE, &[&code.to_be_bytes(), reason].concat());
    let mut cases = vec![("half a code", frame(CLOSE, b"\x03"))];
    // RFC 6455 §7.4: never on the wire, or not for anybody to use.
    cases.extend(
        [0, 999, 1004, 1005, 1006, 1015, 1016, 2999, 5000, 65_535].map(|code| ("a forbidden code", close(code, b""))),
    );
    check(1002, &cases).await;
}

#[actix::test]
async fn a_close_frame_without_a_code_is_answered_by_one() {
    let node = start(|_| {}).await;
    let mut raw = Raw::greeted(&node).await;
    raw.send(&frame(CLOSE, b"")).await;
    assert_eq!(raw.close_code().await, None);
    assert_eq!(raw.rest().await, "");
}

#[actix::test]
async fn what_follows_a_close_frame_is_not_read() {
    let node = start(|_| {}).await;
    let mut raw = Raw::greeted(&node).await;
    let subscribe = frame(TEXT, br#"{"event":"pusher:subscribe","data":{"channel":"late"}}"#);
    raw.send(&[frame(CLOSE, &1000_u16.to_be_bytes()), subscribe].concat()).await;
    assert_eq!(raw.frame().await, (CLOSE, 1000_u16.to_be_bytes().to_vec()));
    assert_eq!(raw.rest().await, "");
    assert_eq!(node.get("/channels/late", &[]).await.1, json!({"occupied": false}));
}

#[actix::test]
async fn control_frames_between_fragments_are_answered_and_do_not_disturb() {
    let node = start(|_| {}).await;
    let mut raw = Raw::greeted(&node).await;
    raw.send(&frame(FIRST, br#"{"event":"pusher:"#)).await;
    raw.send(&frame(PING, b"between")).await;
    assert_eq!(raw.frame().await, (PONG, b"between".to_vec()));
    raw.send(&[frame(MIDDLE, b""), frame(PONG, b""), frame(MIDDLE, b"ping"), frame(LAST, br#""}"#)].concat()).await;
    assert_eq!(raw.message().await["event"], "pusher:pong");
    raw.still_works().await;
}

#[actix::test]
async fn a_character_may_be_split_between_fragments() {
    let node = start(|_| {}).await;
    let mut raw = Raw::greeted(&node).await;
    raw.send(&frame(FIRST, b"{\"event\":\"pusher:ping\",\"data\":\"\xC3")).await;
    raw.send(&frame(LAST, b"\xA9\"}")).await;
    assert_eq!(raw.message().await["event"], "pusher:pong");
}

#[actix::test]
async fn a_frame_may_come_byte_by_byte() {
    let node = start(|_| {}).await;
    let mut raw = Raw::greeted(&node).await;
    for byte in frame(TEXT, br#"{"event":"pusher:subscribe","data":{"channel":"slowly"}}"#) {
        raw.send(&[byte]).await;
    }
    assert_eq!(raw.message().await["event"], "pusher_internal:subscription_succeeded");
}

#[actix::test]
async fn fragments_that_are_never_finished_hold_up_nobody() {
    let node = start(|_| {}).await;
    let mut bystander = Bystander::watch(&node).await;
    let mut unfinished = Vec::new();
    for _ in 0..100 {
        let mut raw = Raw::greeted(&node).await;
        raw.send(&frame(FIRST, &[b'x'; 50_000])).await;
        unfinished.push(raw);
        bystander.publish(&node).await;
    }
    bystander.noticed_nothing(&node).await;
}

#[actix::test]
async fn connections_that_break_off_anywhere_in_a_frame_leave_nothing_behind() {
    let node = start(|_| {}).await;
    let mut bystander = Bystander::watch(&node).await;
    let whole = frame(TEXT, br#"{"event":"pusher:subscribe","data":{"channel":"broken-off"}}"#);
    for end in 0..=whole.len() {
        let mut raw = Raw::greeted(&node).await;
        raw.send(&whole[..end]).await;
        drop(raw);
        bystander.publish(&node).await;
    }
    eventually("only the bystander is left", || async { node.connections().await == 1 }).await;
    assert_eq!(node.get("/channels/broken-off", &[]).await.1, json!({"occupied": false}));
    bystander.noticed_nothing(&node).await;
}

#[actix::test]
async fn random_bytes_end_their_own_session_at_most() {
    let node = start(|_| {}).await;
    let mut bystander = Bystander::watch(&node).await;
    let mut dice = Dice(20_240_614);
    for _ in 0..200 {
        let mut raw = Raw::greeted(&node).await;
        let count = 1 + dice.below(2_000);
        raw.send(&dice.bytes(count)).await;
        drop(raw);
        bystander.publish(&node).await;
    }
    bystander.noticed_nothing(&node).await;
}

#[actix::test]
async fn random_payloads_in_sound_frames_end_their_own_session_at_most() {
    let node = start(|_| {}).await;
    let mut bystander = Bystander::watch(&node).await;
    let mut dice = Dice(20_240_615);
    for _ in 0..200 {
        let mut raw = Raw::greeted(&node).await;
        let firsts = [TEXT, BINARY, PING, PONG, FIRST, MIDDLE, LAST];
        for _ in 0..dice.below(10) {
            let count = dice.below(125);
            raw.send(&frame(firsts[dice.below(7) as usize], &dice.bytes(count))).await;
        }
        raw.send(&frame(CLOSE, &1000_u16.to_be_bytes())).await;
        let code = raw.close_code().await;
        assert!([Some(1000), Some(1002), Some(1007)].contains(&code), "{code:?}");
        bystander.publish(&node).await;
    }
    bystander.noticed_nothing(&node).await;
}
