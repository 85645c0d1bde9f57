//! How a Pusher client connects, or is told why not: protocol.md §1.1 to §1.4.

use awc::http::header;

use crate::harness::{eventually, http_client, inner, start, start_configured};

#[actix::test]
async fn the_first_frame_names_the_socket_and_the_activity_timeout() {
    let node = start(|app| app.activity_timeout = std::time::Duration::from_secs(45)).await;
    let mut client = node.open("/app/app-key").await;
    let established = client.expect("pusher:connection_established").await;
    assert_eq!(inner(&established)["activity_timeout"], 45);
    let id = inner(&established)["socket_id"].as_str().unwrap().to_owned();
    assert!(id.split('.').all(|half| half.parse::<u32>().is_ok()), "{id}");
}

#[actix::test]
async fn refusals_come_after_the_upgrade_as_an_error_frame_and_a_close_code() {
    let node = start(|app| app.allowed_origins = vec!["*".to_owned()]).await;
    for (path, code) in [
        ("/app/unknown", 4001),
        ("/nowhere", 4005),
        ("/app/", 4005),
        ("/app/app-key/more", 4014),
        ("/app/app-key?protocol=seven", 4006),
        ("/app/app-key?protocol=3", 4007),
        ("/app/app-key?protocol=8", 4007),
    ] {
        let mut client = node.open(path).await;
        let error = client.expect("pusher:error").await;
        assert_eq!(error["data"]["code"], code, "{path}: {error}");
        assert_eq!(client.expect_close().await.0, code, "{path}");
    }
}

#[actix::test]
async fn an_unknown_key_is_told_by_its_length_and_not_by_what_it_is() {
    let node = start(|_| {}).await;
    let error = node.open("/app/secret%20by%20mistake").await.expect("pusher:error").await;
    assert_eq!(error["data"]["message"], "Application does not exist; its key has 17 characters");
}

#[actix::test]
async fn protocols_4_to_7_and_none_are_spoken() {
    let node = start(|_| {}).await;
    for query in ["", "?protocol=4", "?protocol=5", "?protocol=6", "?protocol=7&flash=false"] {
        node.open(&format!("/app/app-key{query}")).await.expect("pusher:connection_established").await;
    }
}

#[actix::test]
async fn a_disabled_app_refuses_with_4003_and_a_full_one_with_4004() {
    let disabled = start(|app| app.enabled = false).await;
    assert_eq!(disabled.open("/app/app-key").await.expect_close().await.0, 4003);
    let full = start(|app| app.max_connections = Some(1)).await;
    let first = full.connect().await;
    assert_eq!(full.open("/app/app-key").await.expect_close().await.0, 4004);
    drop(first);
    eventually("the closed socket makes room", || async {
        let first = full.open("/app/app-key").await.next().await;
        first["event"] == "pusher:connection_established"
    })
    .await;
}

#[actix::test]
async fn an_origin_that_is_not_allowed_is_refused_with_4009() {
    let node = start(|app| app.allowed_origins = vec!["*.example.com".to_owned()]).await;
    let mut allowed =
        node.open_with("/app/app-key", |request| request.header(header::ORIGIN, "https://shop.example.com")).await;
    allowed.expect("pusher:connection_established").await;
    assert_eq!(node.open("/app/app-key").await.expect_close().await.0, 4009);
}

#[actix::test]
async fn an_address_may_have_only_its_number_of_sockets() {
    let node = start_configured(|config| config.limits.max_connections_per_ip = 1, |_| {}).await;
    let _first = node.connect().await;
    assert!(node.open("/app/app-key").await.expect_close().await.1.contains("GAUNG_MAX_CONNECTIONS_PER_IP"));
}

#[actix::test]
async fn sockets_that_come_at_once_wait_for_their_turn_and_those_that_would_wait_too_long_hear_4100() {
    let configure = |config: &mut gaung::config::Config| {
        config.server.http_threads = 1;
        config.limits.max_connection_rate = 2;
    };
    let node = start_configured(configure, |_| {}).await;
    let refused = futures_util::future::join_all((0..8).map(|_| async {
        let mut client = node.open("/app/app-key").await;
        let first = client.next().await;
        (first["event"] == "pusher:error").then_some(first["data"].clone())
    }));
    let refused: Vec<_> = refused.await.into_iter().flatten().collect();
    // One enters at once, and two whose turn comes within a second; more if not all came at once.
    assert!((1..=5).contains(&refused.len()), "{refused:?}");
    let text = "Too many new connections; try again (GAUNG_MAX_CONNECTION_RATE)";
    assert!(refused.iter().all(|data| *data == serde_json::json!({"code": 4100, "message": text})), "{refused:?}");
    let counted = node.counted().refusals("over_connection_rate");
    assert_eq!(counted as usize, refused.len());
    eventually("who tries again has its turn", || async {
        node.open("/app/app-key").await.next().await["event"] == "pusher:connection_established"
    })
    .await;
}

#[actix::test]
async fn the_sub_protocol_that_swift_offers_is_selected() {
    let node = start(|_| {}).await;
    let request = http_client().ws(node.url("/app/app-key")).protocols(["pusher-channels-protocol-7"]);
    let (response, _) = request.connect().await.unwrap();
    assert_eq!(response.headers().get(header::SEC_WEBSOCKET_PROTOCOL).unwrap(), "pusher-channels-protocol-7");
    let (response, _) = http_client().ws(node.url("/app/app-key")).connect().await.unwrap();
    assert!(response.headers().get(header::SEC_WEBSOCKET_PROTOCOL).is_none());
}

#[actix::test]
async fn a_socket_that_does_not_authorise_itself_in_time_is_closed_with_4009() {
    let node = start(|app| app.authorised_within = Some(std::time::Duration::from_secs(3))).await;
    let (mut idle, mut private) = (node.connect().await, node.connect().await);
    private.subscribe_private("private-a").await;
    assert_eq!(idle.expect_close().await.0, 4009);
    private.expect_silence().await;
}

#[actix::test]
async fn a_traced_socket_is_told_when_each_event_was_accepted() {
    let node = start(|_| {}).await;
    let mut client = node.open("/app/app-key?protocol=7&trace=1").await;
    client.expect("pusher:connection_established").await;
    client.subscribe("c").await;
    node.publish("c", "e", "{}").await;
    assert!(client.expect("e").await["accepted_at_us"].as_u64().unwrap() > 0);
}
