//! What a Pusher client sees: protocol.md §1.2 to §1.13.

use awc::http::header;
use gaung::app::AppSettings;
use serde_json::json;

use crate::harness::{inner, start, start_configured};

fn with_client_events(app: &mut AppSettings) {
    app.client_events = true;
}

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
        ("/app/app-key/more", 4005),
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
    crate::harness::eventually("the closed socket makes room", || async {
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
    assert_eq!(node.open("/app/app-key").await.expect_close().await.0, 4100);
}

#[actix::test]
async fn the_sub_protocol_that_swift_offers_is_selected() {
    let node = start(|_| {}).await;
    let request = awc::Client::default().ws(node.url("/app/app-key")).protocols(["pusher-channels-protocol-7"]);
    let (response, _) = request.connect().await.unwrap();
    assert_eq!(response.headers().get(header::SEC_WEBSOCKET_PROTOCOL).unwrap(), "pusher-channels-protocol-7");
    let (response, _) = awc::Client::default().ws(node.url("/app/app-key")).connect().await.unwrap();
    assert!(response.headers().get(header::SEC_WEBSOCKET_PROTOCOL).is_none());
}

#[actix::test]
async fn an_event_reaches_every_subscriber_of_its_channel_and_nobody_else() {
    let node = start(|_| {}).await;
    let (mut one, mut two, mut other) = (node.connect().await, node.connect().await, node.connect().await);
    one.subscribe("products.1").await;
    two.subscribe("products.1").await;
    other.subscribe("products.2").await;
    let data = r#"{"id":7,"n":"\u00e9\/x"}"#;
    node.publish("products.1", r"App\Events\Shipped", data).await;
    let expected = json!({"event": r"App\Events\Shipped", "channel": "products.1", "data": data});
    one.expect_exactly(expected.clone()).await;
    two.expect_exactly(expected).await;
    other.expect_silence().await;
}

#[actix::test]
async fn the_same_channel_name_in_two_apps_is_two_channels() {
    let apps = ["a", "b"].map(|id| (id.to_owned(), AppSettings::new(format!("key-{id}"), "secret")));
    let mut apps = Vec::from(apps);
    apps.push(("app-id".to_owned(), AppSettings::new("app-key", "app-secret")));
    let node = crate::harness::start_with(|_| {}, apps).await;
    let mut stranger = node.open("/app/key-a").await;
    stranger.expect("pusher:connection_established").await;
    stranger.subscribe("products.1").await;
    let mut subscriber = node.connect().await;
    subscriber.subscribe("products.1").await;
    node.publish("products.1", "e", "{}").await;
    subscriber.expect("e").await;
    stranger.expect_silence().await;
}

#[actix::test]
async fn the_excluded_socket_does_not_hear_the_event_but_hears_the_next_in_order() {
    let node = start(|_| {}).await;
    let (mut sender, mut other) = (node.connect().await, node.connect().await);
    sender.subscribe("c").await;
    other.subscribe("c").await;
    for n in 0..20 {
        let mut body = json!({"name": format!("e{n}"), "channel": "c", "data": "{}"});
        if n % 2 == 0 {
            body["socket_id"] = sender.id.clone().into();
        }
        node.post("/events", &body).await;
    }
    for n in 0..20 {
        other.expect(&format!("e{n}")).await;
    }
    for n in (1..20).step_by(2) {
        sender.expect(&format!("e{n}")).await;
    }
    sender.expect_silence().await;
}

#[actix::test]
async fn unsubscribing_ends_the_events_and_subscribing_again_resumes_them() {
    let node = start(|_| {}).await;
    let mut client = node.connect().await;
    client.subscribe("c").await;
    client.unsubscribe("c").await;
    client.expect_silence().await;
    node.publish("c", "missed", "{}").await;
    client.subscribe("c").await;
    node.publish("c", "heard", "{}").await;
    client.expect("heard").await;
}

#[actix::test]
async fn a_repeated_subscription_succeeds_again_and_counts_once() {
    let node = start(|_| {}).await;
    let mut client = node.connect().await;
    client.subscribe("c").await;
    client.subscribe("c").await;
    let (_, answer) = node.get("/channels/c", &[("info", "subscription_count")]).await;
    assert_eq!(answer, json!({"occupied": true, "subscription_count": 1}));
}

#[actix::test]
async fn a_private_channel_needs_a_true_signature() {
    let node = start(|_| {}).await;
    let mut client = node.connect().await;
    client.subscribe_private("private-orders").await;
    let forged = json!({"auth": format!("app-key:{}", "0".repeat(64)), "channel": "private-other"});
    client.send(json!({"event": "pusher:subscribe", "data": forged})).await;
    let error = client.expect("pusher:subscription_error").await;
    assert_eq!((&error["channel"], &inner(&error)["type"]), (&json!("private-other"), &json!("AuthError")));
    assert_eq!(inner(&error)["status"], 401);
    let error = client.expect("pusher:error").await;
    assert_eq!((&error["channel"], &error["data"]["code"]), (&json!("private-other"), &json!(4009)));
    client.expect_silence().await;
}

#[actix::test]
async fn a_name_with_forbidden_characters_is_refused_before_its_signature_is_looked_at() {
    let node = start(|_| {}).await;
    let mut client = node.connect().await;
    for name in ["presence-a:{}", "a b", "", "a*"] {
        client.send(json!({"event": "pusher:subscribe", "data": {"channel": name}})).await;
        let error = client.expect("pusher:subscription_error").await;
        assert_eq!(inner(&error)["type"], "InvalidChannel", "{name}");
        client.expect("pusher:error").await;
    }
}

#[actix::test]
async fn a_session_has_a_limited_number_of_subscriptions() {
    let node = start(|app| app.max_subscriptions = 2).await;
    let mut client = node.connect().await;
    client.subscribe("a").await;
    client.subscribe("b").await;
    client.send(json!({"event": "pusher:subscribe", "data": {"channel": "c"}})).await;
    let error = client.expect("pusher:subscription_error").await;
    assert_eq!(inner(&error)["type"], "LimitReached");
    client.expect("pusher:error").await;
    client.subscribe("a").await;
    client.unsubscribe("b").await;
    client.subscribe("c").await;
}

#[actix::test]
async fn members_come_and_go_once_per_user() {
    let node = start(|_| {}).await;
    let (mut ada, mut bob, mut bobs_tab) = (node.connect().await, node.connect().await, node.connect().await);
    let snapshot = ada.join("presence-room", r#"{"user_id":"1","user_info":{"name":"Ada"}}"#).await;
    assert_eq!(snapshot, json!({"count": 1, "ids": ["1"], "hash": {"1": {"name": "Ada"}}}));
    let snapshot = bob.join("presence-room", r#"{"user_id":2}"#).await;
    assert_eq!(snapshot, json!({"count": 2, "ids": ["1", "2"], "hash": {"1": {"name": "Ada"}, "2": {}}}));
    let added = ada.expect("pusher_internal:member_added").await;
    assert_eq!(inner(&added), json!({"user_id": "2", "user_info": {}}));
    bobs_tab.join("presence-room", r#"{"user_id":"2","user_info":{"other":true}}"#).await;
    bob.unsubscribe("presence-room").await;
    bob.expect_silence().await;
    ada.expect_silence().await;
    drop(bobs_tab);
    let removed = ada.expect("pusher_internal:member_removed").await;
    assert_eq!(inner(&removed), json!({"user_id": "2"}));
}

#[actix::test]
async fn a_full_presence_channel_refuses_new_users_but_takes_second_tabs() {
    let node = start(|app| app.max_presence_members = 1).await;
    let (mut one, mut tab, mut two) = (node.connect().await, node.connect().await, node.connect().await);
    one.join("presence-room", r#"{"user_id":"1"}"#).await;
    tab.join("presence-room", r#"{"user_id":"1"}"#).await;
    two.ask_presence("presence-room", r#"{"user_id":"2"}"#).await;
    let error = two.expect("pusher:subscription_error").await;
    assert_eq!((&inner(&error)["type"], &inner(&error)["status"]), (&json!("LimitReached"), &json!(4100)));
}

#[actix::test]
async fn a_member_that_is_too_large_is_refused() {
    let node = start(|app| app.max_presence_member_bytes = 10).await;
    let mut client = node.connect().await;
    client.ask_presence("presence-room", r#"{"user_id":"1","user_info":"123456789"}"#).await;
    let error = client.expect("pusher:subscription_error").await;
    assert_eq!(inner(&error)["status"], 4301);
}

#[actix::test]
async fn client_events_reach_the_others_with_the_senders_user() {
    let node = start(with_client_events).await;
    let (mut ada, mut bob) = (node.connect().await, node.connect().await);
    ada.join("presence-chat", r#"{"user_id":"1"}"#).await;
    bob.join("presence-chat", r#"{"user_id":"2"}"#).await;
    ada.expect("pusher_internal:member_added").await;
    let typing = json!({"event": "client-typing", "channel": "presence-chat", "data": {"who": "Ada"}, "user_id": "9"});
    ada.send(typing).await;
    let expected =
        json!({"event": "client-typing", "channel": "presence-chat", "data": r#"{"who":"Ada"}"#, "user_id": "1"});
    bob.expect_exactly(expected).await;
    ada.expect_silence().await;
}

#[actix::test]
async fn client_events_have_their_conditions() {
    let node = start(|app| {
        app.client_events = true;
        app.max_event_bytes = 20;
        app.max_event_name_length = 20;
    })
    .await;
    let mut client = node.connect().await;
    client.subscribe("public").await;
    client.subscribe_private("private-a").await;
    let long = "x".repeat(30);
    for (name, channel, data, code) in [
        ("client-e", "public", "", json!(4301)),
        ("client-e", "private-b", "", json!(null)),
        ("client-e", "private-a", long.as_str(), json!(4301)),
        (&format!("client-{long}"), "private-a", "", json!(4301)),
    ] {
        client.send(json!({"event": name, "channel": channel, "data": data})).await;
        let error = client.expect("pusher:error").await;
        assert_eq!((&error["data"]["code"], &error["channel"]), (&code, &json!(channel)), "{error}");
    }
}

#[actix::test]
async fn client_events_are_off_unless_the_app_turns_them_on() {
    let node = start(|_| {}).await;
    let mut client = node.connect().await;
    client.subscribe_private("private-a").await;
    client.send(json!({"event": "client-e", "channel": "private-a", "data": {}})).await;
    assert_eq!(client.expect("pusher:error").await["data"]["code"], 4301);
}

#[actix::test]
async fn client_events_are_limited_per_second_and_socket() {
    let node = start(|app| {
        app.client_events = true;
        app.client_events_per_second = Some(2);
    })
    .await;
    let (mut fast, mut other) = (node.connect().await, node.connect().await);
    for client in [&mut fast, &mut other] {
        client.subscribe_private("private-a").await;
    }
    for _ in 0..3 {
        fast.send(json!({"event": "client-e", "channel": "private-a", "data": {}})).await;
    }
    assert_eq!(fast.expect("pusher:error").await["data"]["code"], 4301);
    other.send(json!({"event": "client-f", "channel": "private-a", "data": {}})).await;
    fast.expect("client-f").await;
}

#[actix::test]
async fn a_cache_channel_replays_its_last_event_also_if_nobody_was_there() {
    let node = start(|_| {}).await;
    let mut early = node.connect().await;
    early.subscribe("cache-news").await;
    early.expect_exactly(json!({"event": "pusher:cache_miss", "channel": "cache-news", "data": "{}"})).await;
    node.publish("cache-other", "first", "1").await;
    node.publish("cache-other", "last", "2").await;
    let mut late = node.connect().await;
    late.subscribe("cache-other").await;
    late.expect_exactly(json!({"event": "last", "channel": "cache-other", "data": "2"})).await;
}

#[actix::test]
async fn client_events_are_not_cached() {
    let node = start(with_client_events).await;
    let (mut sender, mut late) = (node.connect().await, node.connect().await);
    sender.subscribe_private("private-cache-a").await;
    sender.expect("pusher:cache_miss").await;
    sender.send(json!({"event": "client-e", "channel": "private-cache-a", "data": {}})).await;
    sender.expect_silence().await;
    late.subscribe_private("private-cache-a").await;
    late.expect("pusher:cache_miss").await;
}

#[actix::test]
async fn a_signed_in_user_gets_events_of_its_own_line_whether_subscribed_or_not() {
    let node = start(|_| {}).await;
    let (mut client, mut stranger) = (node.connect().await, node.connect().await);
    client.sign_in(r#"{"id":42,"user_info":{}}"#).await;
    let success = client.expect("pusher:signin_success").await;
    assert_eq!(inner(&success)["user_data"], r#"{"id":"42","user_info":{}}"#);
    client.expect_silence().await;
    node.publish("#server-to-user-42", "invoice.paid", "{}").await;
    client.expect_exactly(json!({"event": "invoice.paid", "channel": "#server-to-user-42", "data": "{}"})).await;
    client.subscribe("#server-to-user-42").await;
    stranger.send(json!({"event": "pusher:subscribe", "data": {"channel": "#server-to-user-42"}})).await;
    assert_eq!(inner(&stranger.expect("pusher:subscription_error").await)["status"], 401);
}

#[actix::test]
async fn a_sign_in_that_is_forged_or_changes_the_user_is_refused_and_the_socket_stays() {
    let node = start(|_| {}).await;
    let mut client = node.connect().await;
    let forged = json!({"auth": format!("app-key:{}", "0".repeat(64)), "user_data": r#"{"id":"1"}"#});
    client.send(json!({"event": "pusher:signin", "data": forged})).await;
    assert_eq!(client.expect("pusher:error").await["data"]["code"], 4009);
    client.sign_in(r#"{"id":"1"}"#).await;
    client.expect("pusher:signin_success").await;
    client.sign_in(r#"{"id":"1"}"#).await;
    client.expect("pusher:signin_success").await;
    client.sign_in(r#"{"id":"2"}"#).await;
    assert_eq!(client.expect("pusher:error").await["data"]["code"], 4009);
    client.expect_silence().await;
}

#[actix::test]
async fn a_presence_channel_takes_the_signed_in_user_where_no_member_is_named() {
    let node = start(|_| {}).await;
    let mut client = node.connect().await;
    client.ask_private("presence-room").await;
    assert_eq!(inner(&client.expect("pusher:subscription_error").await)["status"], 401);
    client.expect("pusher:error").await;
    client.sign_in(r#"{"id":"7","user_info":{"name":"Ada"}}"#).await;
    client.expect("pusher:signin_success").await;
    client.ask_private("presence-room").await;
    let success = client.expect("pusher_internal:subscription_succeeded").await;
    assert_eq!(inner(&success)["presence"]["hash"], json!({"7": {"name": "Ada"}}));
}

#[actix::test]
async fn watchers_hear_when_the_users_of_their_list_come_and_go() {
    let node = start(|_| {}).await;
    let (mut friend, mut watcher, mut tab) = (node.connect().await, node.connect().await, node.connect().await);
    friend.sign_in(r#"{"id":"7"}"#).await;
    friend.expect("pusher:signin_success").await;
    friend.expect_silence().await;
    watcher.sign_in(r#"{"id":"1","watchlist":["7","9"]}"#).await;
    watcher.expect("pusher:signin_success").await;
    let mut heard = json!({});
    while heard.as_object().unwrap().len() < 2 {
        for event in inner(&watcher.expect("pusher_internal:watchlist_events").await)["events"].as_array().unwrap() {
            heard[event["name"].as_str().unwrap()] = event["user_ids"].clone();
        }
    }
    assert_eq!(heard, json!({"online": ["7"], "offline": ["9"]}));
    tab.sign_in(r#"{"id":"7"}"#).await;
    tab.expect("pusher:signin_success").await;
    drop(friend);
    node.post("/users/7/terminate_connections", &json!({})).await;
    let event = inner(&watcher.expect("pusher_internal:watchlist_events").await);
    assert_eq!(event, json!({"events": [{"name": "offline", "user_ids": ["7"]}]}));
}

#[actix::test]
async fn terminating_a_user_closes_each_of_its_sockets_with_4009() {
    let node = start(|_| {}).await;
    let (mut one, mut two, mut other) = (node.connect().await, node.connect().await, node.connect().await);
    for (client, user_data) in [(&mut one, r#"{"id":"1"}"#), (&mut two, r#"{"id":"1"}"#), (&mut other, r#"{"id":"2"}"#)]
    {
        client.sign_in(user_data).await;
        client.expect("pusher:signin_success").await;
        client.expect_silence().await;
    }
    assert_eq!(node.post("/users/1/terminate_connections", &json!({})).await, (200, json!({})));
    for client in [&mut one, &mut two] {
        assert_eq!(client.expect("pusher:error").await["data"]["code"], 4009);
        assert_eq!(client.expect_close().await.0, 4009);
    }
    other.expect_silence().await;
}

#[actix::test]
async fn subscribers_hear_how_many_they_are_if_the_app_wants_it() {
    let node = start(|app| app.subscription_counts = true).await;
    let (mut one, mut two) = (node.connect().await, node.connect().await);
    let count = |n: u32| {
        let data = format!(r#"{{"subscription_count":{n}}}"#);
        json!({"event": "pusher_internal:subscription_count", "channel": "c", "data": data})
    };
    one.subscribe("c").await;
    one.expect_exactly(count(1)).await;
    two.subscribe("c").await;
    two.expect_exactly(count(2)).await;
    one.expect_exactly(count(2)).await;
    drop(two);
    one.expect_exactly(count(1)).await;
}

#[actix::test]
async fn a_socket_that_does_not_authorise_itself_in_time_is_closed_with_4009() {
    let node = start(|app| app.authorised_within = Some(std::time::Duration::from_millis(300))).await;
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
