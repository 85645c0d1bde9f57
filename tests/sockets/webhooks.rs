//! Webhooks against a receiver that shows the raw bytes.

use std::{
    sync::{Arc, atomic::Ordering::Relaxed},
    time::Duration,
};

use gaung::{
    app::App,
    config::{AppSettings, WebhookEndpoint},
    metrics::Metrics,
    protocol::{AppKey, ChannelName, Secret, WebhookDetail, WebhookEvent, WebhookKind},
    webhook::{Resources, Timing, Webhooks},
};
use hmac::{Hmac, KeyInit, Mac};
use sha2::Sha256;
use tokio::{io::AsyncReadExt, net::TcpListener};

use crate::webhook_receiver::{PATIENCE, Receiver, within};

/// Longer than any test takes.
const NEVER: Duration = Duration::from_secs(3_600);

async fn until(condition: impl Fn() -> bool) {
    within(async {
        while !condition() {
            tokio::task::yield_now().await;
        }
    })
    .await;
}

fn start(timing: Timing) -> Webhooks {
    start_with_room_for(64 << 20, timing)
}

fn start_with_room_for(max_bytes: usize, timing: Timing) -> Webhooks {
    // Another test of this process may have been first.
    let _ = rustls::crypto::ring::default_provider().install_default();
    Webhooks::start(Metrics::new(), timing, Resources::of_bytes(max_bytes))
}

fn quick() -> Timing {
    Timing { debounce: Duration::from_millis(100), first_retry: Duration::from_millis(1), ..Timing::default() }
}

fn settings(endpoint: WebhookEndpoint) -> AppSettings {
    AppSettings { webhooks: vec![Arc::new(endpoint)], ..AppSettings::new("app-key", "app-secret") }
}

fn app(id: &str, endpoint: WebhookEndpoint) -> Arc<App> {
    App::new(id, settings(endpoint))
}

fn event(channel: &str, detail: WebhookDetail) -> WebhookEvent {
    WebhookEvent { channel: ChannelName::parse(channel, 200).unwrap(), detail }
}

fn occupied(channel: &str) -> WebhookEvent {
    event(channel, WebhookDetail::ChannelOccupied)
}

fn attempts(app: &App, outcome: &str) -> u64 {
    app.counters.outcomes.webhook_attempts.get(outcome)
}

fn drops(app: &App) -> u64 {
    app.counters.outcomes.webhook_drops.load(Relaxed)
}

fn hmac_of(secret: &str, body: &str) -> String {
    let mut mac = Hmac::<Sha256>::new_from_slice(secret.as_bytes()).unwrap();
    mac.update(body.as_bytes());
    hex::encode(mac.finalize().into_bytes())
}

#[actix_web::test]
async fn a_request_has_title_case_headers_and_signs_its_exact_bytes() {
    let mut receiver = Receiver::start().await;
    let webhooks = start(quick());
    let app = app("1", receiver.endpoint());
    webhooks.notify(&app, occupied("orders"));
    let request = receiver.next().await;
    assert!(request.head.starts_with("POST /hook HTTP/1.1\r\n"), "{}", request.head);
    assert_eq!(request.header("Content-Type"), Some("application/json"));
    assert_eq!(request.header("X-Pusher-Key"), Some("app-key"));
    assert_eq!(request.header("X-Pusher-Signature"), Some(hmac_of("app-secret", &request.body).as_str()));
    assert_eq!(request.header("User-Agent"), Some(concat!("gaung/", env!("CARGO_PKG_VERSION"))));
    assert_eq!(request.events(), r#"[{"name":"channel_occupied","channel":"orders"}]"#);
    request.answer("200 OK", "");
    until(|| attempts(&app, "delivered") == 1 && webhooks.queued() == 0).await;
}

#[actix_web::test]
async fn own_headers_are_sent_but_replace_neither_signature_nor_content_type_nor_framing() {
    let mut receiver = Receiver::start().await;
    let webhooks = start(quick());
    let headers = [
        ("X-Custom", "v"),
        ("x-pusher-key", "forged"),
        ("X-PUSHER-SIGNATURE", "forged"),
        ("Content-Type", "text/plain"),
        ("content-length", "1"),
        ("Transfer-Encoding", "chunked"),
    ];
    let headers = headers.map(|(name, value)| (name.to_owned(), value.to_owned())).to_vec();
    webhooks.notify(&app("1", WebhookEndpoint { headers, ..receiver.endpoint() }), occupied("orders"));
    let request = receiver.next().await;
    assert_eq!(request.header("X-Custom"), Some("v"));
    assert_eq!(request.header("Content-Type"), Some("application/json"));
    assert_eq!(request.header("X-Pusher-Key"), Some("app-key"));
    assert_eq!(request.header("X-Pusher-Signature"), Some(hmac_of("app-secret", &request.body).as_str()));
    assert!(!request.head.contains("forged") && !request.head.contains("chunked"), "{}", request.head);
}

#[actix_web::test]
async fn a_failed_post_is_repeated_byte_for_byte_before_the_next_one_goes() {
    let mut receiver = Receiver::start().await;
    let webhooks = start(quick());
    let app = app("1", receiver.endpoint());
    webhooks.notify(&app, occupied("first"));
    webhooks.notify(&app, occupied("second"));
    let request = receiver.next().await;
    let body = request.body.clone();
    request.answer("500 Internal Server Error", "");
    let request = receiver.next().await;
    assert_eq!(request.body, body);
    request.answer("202 Accepted", "");
    assert_eq!(receiver.next_events().await, r#"[{"name":"channel_occupied","channel":"second"}]"#);
    until(|| attempts(&app, "retried") == 1 && attempts(&app, "delivered") == 2).await;
}

#[actix_web::test]
async fn a_lost_connection_is_a_failure_and_is_retried() {
    let mut receiver = Receiver::start().await;
    let webhooks = start(quick());
    let app = app("1", receiver.endpoint());
    webhooks.notify(&app, occupied("orders"));
    drop(receiver.next().await);
    receiver.next_events().await;
    assert_eq!(attempts(&app, "retried"), 1);
}

#[actix_web::test]
async fn a_redirect_is_a_failure_and_is_not_followed() {
    let mut receiver = Receiver::start().await;
    let webhooks = start(quick());
    webhooks.notify(&app("1", receiver.endpoint()), occupied("orders"));
    receiver.next().await.answer("307 Temporary Redirect", "Location: /elsewhere\r\n");
    assert!(receiver.next().await.head.starts_with("POST /hook "));
}

#[actix_web::test]
async fn a_retry_is_signed_with_the_key_of_its_own_moment() {
    let mut receiver = Receiver::start().await;
    let webhooks = start(quick());
    let app = app("1", receiver.endpoint());
    webhooks.notify(&app, occupied("orders"));
    let request = receiver.next().await;
    let rotated = AppKey { key: "new-key".to_owned(), secret: Secret::new("new-secret") };
    app.replace_settings(AppSettings { keys: vec![rotated], ..settings(receiver.endpoint()) });
    request.answer("401 Unauthorized", "");
    let request = receiver.next().await;
    assert_eq!(request.header("X-Pusher-Key"), Some("new-key"));
    assert_eq!(request.header("X-Pusher-Signature"), Some(hmac_of("new-secret", &request.body).as_str()));
}

#[actix_web::test]
async fn a_slow_endpoint_of_one_app_delays_no_other_app() {
    let (mut slow, mut quick_one) = (Receiver::start().await, Receiver::start().await);
    let webhooks = start(quick());
    let slow_app = app("1", slow.endpoint());
    for number in 0..200 {
        webhooks.notify(&slow_app, occupied(&number.to_string()));
    }
    let unanswered = slow.next().await;
    let quick_app = app("2", quick_one.endpoint());
    for number in 0..200 {
        webhooks.notify(&quick_app, occupied(&number.to_string()));
    }
    for number in 0..200 {
        let expected = format!(r#"[{{"name":"channel_occupied","channel":"{number}"}}]"#);
        assert_eq!(quick_one.next_events().await, expected);
    }
    until(|| webhooks.queued() == 200).await;
    drop(unanswered);
}

#[actix_web::test]
async fn batches_hold_the_events_of_one_app_and_of_one_endpoint() {
    let (mut first, mut second) = (Receiver::start().await, Receiver::start().await);
    let webhooks = start(Timing { batch: NEVER, ..quick() });
    let batching = |receiver: &Receiver| WebhookEndpoint { batching: true, ..receiver.endpoint() };
    let both = AppSettings {
        webhooks: vec![batching(&first).into(), batching(&second).into()],
        ..AppSettings::new("both-key", "both-secret")
    };
    let (both, one) = (App::new("1", both), app("2", batching(&first)));
    webhooks.notify(&both, occupied("a"));
    webhooks.notify(&one, occupied("b"));
    webhooks.notify(&both, occupied("c"));

    let ours = r#"[{"name":"channel_occupied","channel":"a"},{"name":"channel_occupied","channel":"c"}]"#;
    actix_web::rt::spawn(async move { webhooks.flush(PATIENCE).await });
    assert_eq!(second.next_events().await, ours);
    let requests = [first.next().await, first.next().await];
    let mut seen = requests.map(|request| (request.header("X-Pusher-Key").unwrap().to_owned(), request.events()));
    seen.sort();
    let theirs = r#"[{"name":"channel_occupied","channel":"b"}]"#;
    assert_eq!(seen, [("app-key".to_owned(), theirs.to_owned()), ("both-key".to_owned(), ours.to_owned())]);
}

#[actix_web::test]
async fn only_wanted_events_are_posted() {
    let mut receiver = Receiver::start().await;
    let webhooks = start(quick());
    let app = app("1", WebhookEndpoint { channel_prefix: Some("beta-".to_owned()), ..receiver.endpoint() });
    webhooks.notify(&app, occupied("alpha"));
    webhooks.notify(&app, occupied("beta-x"));
    assert_eq!(receiver.next_events().await, r#"[{"name":"channel_occupied","channel":"beta-x"}]"#);
    until(|| webhooks.queued() == 0).await;
}

#[actix_web::test]
async fn a_vacated_channel_is_reported_when_its_delay_is_over() {
    let mut receiver = Receiver::start().await;
    let webhooks = start(quick());
    webhooks.notify(&app("1", receiver.endpoint()), event("left", WebhookDetail::ChannelVacated));
    assert_eq!(receiver.next_events().await, r#"[{"name":"channel_vacated","channel":"left"}]"#);
}

#[actix_web::test]
async fn a_channel_that_comes_back_in_time_is_not_reported() {
    let mut receiver = Receiver::start().await;
    let webhooks = start(Timing { debounce: NEVER, ..quick() });
    let app = app("1", receiver.endpoint());
    webhooks.notify(&app, event("reloaded", WebhookDetail::ChannelVacated));
    webhooks.notify(&app, occupied("reloaded"));
    webhooks.notify(&app, event("reloaded", WebhookDetail::SubscriptionCount { count: 1 }));
    let next = r#"[{"name":"subscription_count","channel":"reloaded","subscription_count":1}]"#;
    assert_eq!(receiver.next_events().await, next);
    until(|| webhooks.queued() == 0).await;
}

#[actix_web::test]
async fn a_departure_is_cancelled_by_a_comeback_that_the_endpoint_did_not_ask_for() {
    let mut receiver = Receiver::start().await;
    let webhooks = start(Timing { debounce: NEVER, ..quick() });
    let events = vec![WebhookKind::ChannelVacated];
    let app = app("1", WebhookEndpoint { events, ..receiver.endpoint() });
    webhooks.notify(&app, event("reloaded", WebhookDetail::ChannelVacated));
    webhooks.notify(&app, occupied("reloaded"));
    webhooks.notify(&app, event("left", WebhookDetail::ChannelVacated));
    until(|| webhooks.queued() == 1).await;
    let (_, events) = tokio::join!(webhooks.flush(PATIENCE), receiver.next_events());
    assert_eq!(events, r#"[{"name":"channel_vacated","channel":"left"}]"#);
}

#[actix_web::test]
async fn a_flush_sends_what_waits_for_its_delay_its_batch_or_its_retry() {
    let mut receiver = Receiver::start().await;
    let webhooks = start(Timing {
        debounce: NEVER,
        batch: NEVER,
        first_retry: NEVER,
        longest_retry: NEVER,
        give_up: NEVER * 2,
        ..Timing::default()
    });
    let plain = app("1", receiver.endpoint());
    let batching = app("2", WebhookEndpoint { batching: true, ..receiver.endpoint() });
    webhooks.notify(&plain, occupied("failing"));
    receiver.next().await.answer("503 Service Unavailable", "");
    until(|| attempts(&plain, "retried") == 1).await;
    webhooks.notify(&plain, event("held", WebhookDetail::ChannelVacated));
    webhooks.notify(&batching, occupied("batched"));

    let receive = async { [receiver.next_events().await, receiver.next_events().await, receiver.next_events().await] };
    let (_, mut events) = tokio::join!(webhooks.flush(PATIENCE), receive);
    events.sort();
    assert_eq!(
        events,
        [
            r#"[{"name":"channel_occupied","channel":"batched"}]"#,
            r#"[{"name":"channel_occupied","channel":"failing"}]"#,
            r#"[{"name":"channel_vacated","channel":"held"}]"#,
        ]
    );
    assert_eq!((webhooks.queued(), drops(&plain), drops(&batching)), (0, 0, 0));
}

#[actix_web::test]
async fn a_flush_gives_up_at_its_deadline_and_what_comes_later_is_dropped_too() {
    let mut receiver = Receiver::start().await;
    let webhooks = start(quick());
    let app = app("1", receiver.endpoint());
    webhooks.notify(&app, occupied("a"));
    webhooks.notify(&app, occupied("b"));
    let _unanswered = receiver.next().await;
    within(webhooks.flush(Duration::from_millis(50))).await;
    assert_eq!((webhooks.queued(), drops(&app)), (0, 2));
    webhooks.notify(&app, occupied("late"));
    until(|| (webhooks.queued(), drops(&app)) == (0, 3)).await;
    within(webhooks.flush(NEVER)).await;
}

#[actix_web::test]
async fn an_endpoint_that_never_answers_loses_its_events_when_their_time_is_over() {
    let mut receiver = Receiver::start().await;
    let webhooks =
        start(Timing { request_timeout: Duration::from_millis(500), give_up: Duration::from_secs(3), ..quick() });
    let app = app("1", receiver.endpoint());
    webhooks.notify(&app, occupied("orders"));
    let _unanswered = receiver.next().await;
    until(|| drops(&app) == 1 && attempts(&app, "dropped") == 1).await;
    assert_eq!(webhooks.queued(), 0);
}

#[actix_web::test]
async fn an_https_endpoint_is_spoken_to_in_tls() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let receiver = Receiver::start().await;
    let webhooks = start(quick());
    let url = format!("https://localhost:{}/hook", listener.local_addr().unwrap().port());
    webhooks.notify(&app("1", WebhookEndpoint { url, ..receiver.endpoint() }), occupied("orders"));
    let (mut stream, _) = within(listener.accept()).await.unwrap();
    let mut record = [0; 3];
    within(stream.read_exact(&mut record)).await.unwrap();
    assert_eq!(record, [0x16, 0x03, 0x01], "a TLS handshake record");
}

#[actix_web::test]
async fn an_app_without_webhooks_costs_nothing() {
    let webhooks = start(quick());
    let app = App::new("1", AppSettings::new("key", "secret"));
    webhooks.notify(&app, event("orders", WebhookDetail::ChannelVacated));
    assert_eq!((webhooks.queued(), drops(&app)), (0, 0));
}

#[actix_web::test]
async fn what_waits_for_a_dead_endpoint_is_bounded_in_bytes_and_leaves_room_for_others() {
    const MAX_BYTES: usize = 1 << 20;
    let (mut dead, mut living) = (Receiver::start().await, Receiver::start().await);
    let webhooks = start_with_room_for(MAX_BYTES, quick());
    let to_dead = app("1", dead.endpoint());
    let flood = 20_000;
    for _ in 0..flood {
        webhooks.notify(&to_dead, occupied("orders"));
    }
    let _unanswered = dead.next().await;
    // An event as short as this takes some 400 bytes, and half of all is left free.
    let most = MAX_BYTES / 2 / 400;
    let is_over = |queued: usize| queued <= most && queued as u64 + drops(&to_dead) == flood;
    until(|| is_over(webhooks.queued())).await;
    let queued = webhooks.queued();
    assert!(queued > most / 2, "{queued} wait, the most is {most}");
    webhooks.notify(&app("2", living.endpoint()), occupied("orders"));
    assert_eq!(living.next_events().await, r#"[{"name":"channel_occupied","channel":"orders"}]"#);
}
