//! Messages that nobody should send: every row of protocol.md §1.14, JSON bombs and floods. The session stays, and
//! nobody else notices.

use serde_json::{Value, json};

use crate::{
    harness::{eventually, start, start_configured},
    raw::{BINARY, Bystander, CLOSE, Dice, Raw, TEXT, UPGRADE, frame, with_client_events},
};

#[actix::test]
async fn a_message_that_makes_no_sense_is_answered_by_an_error_without_code() {
    let node = start(|_| {}).await;
    let bystander = Bystander::watch(&node).await;
    let mut raw = Raw::greeted(&node).await;
    for (text, problem) in [
        ("", "Invalid message format: not JSON"),
        ("not json", "Invalid message format: not JSON"),
        (r#"{"event":"pusher:ping""#, "Invalid message format: not JSON"),
        ("[]", "Invalid message format: not a JSON object"),
        ("null", "Invalid message format: not a JSON object"),
        (r#""pusher:ping""#, "Invalid message format: not a JSON object"),
        ("{}", "Invalid message format: event is missing or not a string"),
        (r#"{"event":7,"data":{}}"#, "Invalid message format: event is missing or not a string"),
        (r#"{"event":"pusher:no-such","data":{}}"#, "Unsupported event received on socket: pusher:no-such"),
        (
            r#"{"event":"pusher_internal:member_added","data":"{}"}"#,
            "Unsupported event received on socket: pusher_internal:member_added",
        ),
        (
            r#"{"event":"pusher:subscribe","data":{"channel":7}}"#,
            "Invalid message format: data must be an object that has channel as a string",
        ),
        (r#"{"event":"client-typing"}"#, "Invalid client event (must contain channel and data)"),
    ] {
        raw.send_text(text).await;
        let expected = json!({"event": "pusher:error", "data": {"code": null, "message": problem}});
        assert_eq!(raw.message().await, expected, "{text}");
        raw.still_works().await;
    }
    bystander.noticed_nothing(&node).await;
}

#[actix::test]
async fn what_only_servers_send_is_ignored() {
    let node = start(|_| {}).await;
    let mut raw = Raw::greeted(&node).await;
    raw.send_text(r#"{"event":"pusher:connection_established","data":"{\"socket_id\":\"1.1\"}"}"#).await;
    raw.send_text(r#"{"event":"pusher:pong","data":7}"#).await;
    raw.send_text(r#"{"event":"pusher:unsubscribe","data":{"channel":"never-subscribed"}}"#).await;
    raw.still_works().await;
}

#[actix::test]
async fn a_binary_message_of_json_is_read_and_any_other_is_ignored() {
    let node = start(|_| {}).await;
    let mut raw = Raw::greeted(&node).await;
    for payload in [b"\x00\xFF\xFE".as_slice(), b"", b"plain", b"\xC3"] {
        raw.send(&frame(BINARY, payload)).await;
    }
    raw.send(&frame(BINARY, br#"{"event":"pusher:ping","data":{}}"#)).await;
    assert_eq!(raw.message().await["event"], "pusher:pong");
    raw.still_works().await;
}

#[actix::test]
async fn a_message_over_the_limit_closes_with_1009_and_one_of_the_limit_does_not() {
    let node = start(|_| {}).await;
    let bystander = Bystander::watch(&node).await;
    let ping = |size: usize| {
        let (head, tail) = (r#"{"event":"pusher:ping","data":""#, r#""}"#);
        format!("{head}{}{tail}", "x".repeat(size - head.len() - tail.len()))
    };
    let mut raw = Raw::greeted(&node).await;
    raw.send_text(&ping(65_536)).await;
    assert_eq!(raw.message().await["event"], "pusher:pong");
    raw.send_text(&ping(65_537)).await;
    assert_eq!(raw.close_code().await, Some(1009));
    bystander.noticed_nothing(&node).await;
}

#[actix::test]
async fn messages_may_come_with_the_handshake_before_the_greeting() {
    let node = start(|_| {}).await;
    let mut raw = Raw::connect(&node).await;
    let ping = frame(TEXT, br#"{"event":"pusher:ping","data":""}"#);
    let subscribe = frame(TEXT, br#"{"event":"pusher:subscribe","data":{"channel":"early"}}"#);
    raw.send(&[UPGRADE.as_bytes(), &ping, &subscribe].concat()).await;
    raw.expect_upgrade().await;
    assert_eq!(raw.message().await["event"], "pusher:connection_established");
    assert_eq!(raw.message().await["event"], "pusher:pong");
    assert_eq!(raw.message().await["event"], "pusher_internal:subscription_succeeded");
}

#[actix::test]
async fn a_close_frame_is_answered_with_its_code() {
    let node = start(|_| {}).await;
    for code in [1000_u16, 1001, 3000, 4999] {
        let mut raw = Raw::greeted(&node).await;
        raw.send(&frame(CLOSE, &[&code.to_be_bytes(), b"bye".as_slice()].concat())).await;
        assert_eq!(raw.close_code().await, Some(code));
        assert_eq!(raw.rest().await, "");
    }
}

#[actix::test]
async fn ten_thousand_subscriptions_of_one_socket_stop_at_its_limit_and_are_given_back() {
    let node = start(|app| app.messages_per_second = None).await;
    let mut bystander = Bystander::watch(&node).await;
    let mut raw = Raw::greeted(&node).await;
    let (mut accepted, mut refused) = (0, 0);
    for hundred in 0..100 {
        let subscribe = |n| format!(r#"{{"event":"pusher:subscribe","data":{{"channel":"many-{n}"}}}}"#);
        let frames = (0..100).flat_map(|n| frame(TEXT, subscribe(hundred * 100 + n).as_bytes()));
        raw.send(&frames.collect::<Vec<_>>()).await;
        raw.send_text(r#"{"event":"pusher:ping","data":{}}"#).await;
        let mut answers = 0;
        while answers < 101 {
            let message = raw.message().await;
            match message["event"].as_str() {
                Some("pusher_internal:subscription_succeeded") => accepted += 1,
                Some("pusher:subscription_error") => {
                    assert!(message["data"].as_str().is_some_and(|data| data.contains("max_subscriptions")));
                    refused += 1;
                }
                Some("pusher:error") => continue,
                event => assert_eq!(event, Some("pusher:pong")),
            }
            answers += 1;
        }
        bystander.publish(&node).await;
    }
    assert_eq!((accepted, refused), (1_000, 9_000));
    drop(raw);
    eventually("the channels are vacated", || async {
        let (_, answer) = node.get("/channels", &[("filter_by_prefix", "many-")]).await;
        answer == json!({"channels": {}})
    })
    .await;
    bystander.noticed_nothing(&node).await;
}

#[actix::test]
async fn a_flood_of_subscribing_and_unsubscribing_ends_unsubscribed() {
    let node = start(|app| app.messages_per_second = None).await;
    let mut raw = Raw::greeted(&node).await;
    let come = frame(TEXT, br#"{"event":"pusher:subscribe","data":{"channel":"flooded"}}"#);
    let go = frame(TEXT, br#"{"event":"pusher:unsubscribe","data":{"channel":"flooded"}}"#);
    raw.send(&[come, go].concat().repeat(1_000)).await;
    for _ in 0..1_000 {
        assert_eq!(raw.message().await["event"], "pusher_internal:subscription_succeeded");
    }
    raw.still_works().await;
    eventually("the channel is vacated", || async {
        node.get("/channels/flooded", &[]).await.1 == json!({"occupied": false})
    })
    .await;
}

#[actix::test]
async fn random_messages_are_each_answered_by_an_error() {
    let node = start(|_| {}).await;
    let bystander = Bystander::watch(&node).await;
    let mut raw = Raw::greeted(&node).await;
    let words =
        ["{", "}", "[", "]", "\"", ":", ",", "\\", "event", "pusher:", "subscribe", "0", "1e9", "-", "é", "🙂", "\0"];
    let mut dice = Dice(20_240_613);
    for _ in 0..500 {
        let text: String = (0..dice.below(60)).map(|_| words[dice.below(words.len() as u64) as usize]).collect();
        raw.send_text(&text).await;
        let error = raw.message().await;
        assert_eq!((&error["event"], &error["data"]["code"]), (&json!("pusher:error"), &Value::Null), "{text}");
    }
    raw.still_works().await;
    bystander.noticed_nothing(&node).await;
}

/// Thirty texts that cost their reader more than their writer. None of them is a message of the protocol.
fn bombs() -> Vec<String> {
    let million = 1_000_000;
    let nested =
        |open: &str, inner: &str, close: &str, depth| format!("{}{inner}{}", open.repeat(depth), close.repeat(depth));
    let numbered = |form: fn(usize) -> String, count| (0..count).map(form).collect::<Vec<_>>().join(",");
    let mut bombs = Vec::new();
    for depth in [129, 10_000, million] {
        bombs.push(nested("[", "", "]", depth));
        bombs.push("[".repeat(depth));
        bombs.push("]".repeat(depth));
        bombs.push(nested(r#"{"a":"#, "1", "}", depth));
        bombs.push(r#"{"a":["#.repeat(depth));
    }
    bombs.extend([
        format!(r#"{{"{}":1}}"#, "k".repeat(million)),
        format!(r#"{{"event":"{}"}}"#, "e".repeat(million)),
        format!(r#"{{"event":"pusher:{}"}}"#, "\\u0041".repeat(100_000)),
        format!("{{{}}}", numbered(|n| format!(r#""{n}":1"#), million)),
        format!("{{{}}}", numbered(|_| r#""a":1"#.to_owned(), million)),
        format!("[{}]", numbered(|n| n.to_string(), million)),
        format!("{{{}}}", numbered(|_| r#""event":"pusher:ping""#.to_owned(), 100_000))
            .replacen("ping", "bang", 100_000),
        "9".repeat(million),
        "1e999999".to_owned(),
        format!("-0.{}1e-999999", "0".repeat(million)),
        format!("1e{}", "9".repeat(million)),
        r#""\ud800""#.to_owned(),
        r#"{"event":"\ud800","data":"\udfff\ud800"}"#.to_owned(),
        format!(r#""{}""#, "\\u0000".repeat(100_000)),
        "\0".repeat(1_000),
    ]);
    assert_eq!(bombs.len(), 30);
    bombs
}

#[actix::test]
async fn bombs_of_json_harm_nobody() {
    let configure = |config: &mut gaung::config::Config| {
        config.limits.max_frame_bytes = 16 << 20;
        // On a machine that is busy they take longer than a socket may be silent.
        config.limits.ping_interval = std::time::Duration::from_secs(3_600);
    };
    let node = start_configured(configure, with_client_events).await;
    let mut bystander = Bystander::watch(&node).await;
    let (mut sender, mut reader) = (node.connect().await, node.connect().await);
    for client in [&mut sender, &mut reader] {
        client.subscribe_private("private-bombs").await;
    }
    for bomb in bombs() {
        let start = bomb.chars().take(40).collect::<String>();
        for (text, must_fail) in [
            (bomb.clone(), true),
            (format!(r#"{{"event":"pusher:subscribe","data":{bomb}}}"#), true),
            (format!(r#"{{"event":"client-bomb","channel":"private-bombs","data":{bomb}}}"#), false),
        ] {
            sender.send_text(&text).await;
            sender.send(json!({"event": "pusher:ping", "data": {}})).await;
            let mut answer = sender.next().await;
            if must_fail || answer["event"] != "pusher:pong" {
                assert_eq!(answer["event"], "pusher:error", "{start}");
                answer = sender.next().await;
            }
            assert_eq!(answer["event"], "pusher:pong", "{start}");
        }
        bystander.publish(&node).await;
    }
    sender.send(json!({"event": "client-end", "channel": "private-bombs", "data": {}})).await;
    while reader.next().await["event"] != "client-end" {}
    bystander.noticed_nothing(&node).await;
}

#[actix::test]
async fn bombs_over_the_frame_limit_close_with_1009() {
    let node = start(|_| {}).await;
    let bystander = Bystander::watch(&node).await;
    for bomb in bombs().iter().filter(|bomb| bomb.len() > 65_536) {
        let mut raw = Raw::greeted(&node).await;
        raw.send_text(bomb).await;
        assert_eq!(raw.close_code().await, Some(1009));
    }
    bystander.noticed_nothing(&node).await;
}
