//! Spans of webhooks and of refused requests, and what the variables of traces may hold.

use gaung::protocol::{AppKey, Secret, signature::sign_request};
use serde_json::{Value, json};

use crate::{
    common::{
        client::eventually,
        otlp::{CALLER, Collector, SAMPLED, TRACE, Told},
        process::{Process, run, serve},
    },
    harness::now,
    webhook_receiver::Receiver,
};

/// Posts to the development app, signed with this secret; the status.
async fn post(server: &Process, secret: &str, body: &Value) -> u16 {
    let key = AppKey { key: "gaung-key".to_owned(), secret: Secret::new(secret) };
    let (path, body) = ("/apps/gaung/events", body.to_string());
    let query = sign_request(&key, "POST", path, &[], body.as_bytes(), now());
    let request = awc::Client::default().post(format!("{}{path}?{query}", server.address("public")));
    let request = request.insert_header(("traceparent", SAMPLED)).send_body(body);
    request.await.expect("the server answers").status().as_u16()
}

#[actix::test]
async fn a_webhook_has_a_span_for_the_post_and_one_for_each_attempt_which_the_receiver_is_told() {
    let (collector, mut receiver) = (Collector::start().await, Receiver::start().await);
    let webhooks = json!([{"url": receiver.url, "event_types": ["channel_occupied"]}]).to_string();
    let app = [("GAUNG_APP_ID", "shop"), ("GAUNG_APP_KEY", "shop-key"), ("GAUNG_APP_SECRET", "shop-secret")];
    let place = format!("{}/own/path", collector.endpoint);
    let traced = [
        ("GAUNG_APP_WEBHOOKS", webhooks.as_str()),
        ("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", place.as_str()),
        ("OTEL_TRACES_SAMPLER", "always_on"),
    ];
    let server = serve(&[&app[..], &traced].concat());
    let mut client = server.connect("/app/shop-key").await.greeted().await;
    client.send(json!({"event": "pusher:subscribe", "data": {"channel": "orders"}})).await;
    let mut told = Vec::new();
    for status in ["500 Internal Server Error", "200 OK"] {
        let request = receiver.next().await;
        told.push(request.header("Traceparent").expect("a traceparent").to_owned());
        request.answer(status, "");
    }
    eventually("three spans", || async { collector.spans().len() == 3 }).await;
    let [webhook] = &collector.named("webhook")[..] else { panic!("{:#?}", collector.spans()) };
    let attempts = collector.named("POST");
    assert_eq!(webhook.kind(), "Internal");
    assert_eq!((webhook.parent(), webhook.has_failed()), (String::new(), false));
    assert_eq!([webhook.attribute("gaung.app"), webhook.attribute("gaung.webhook.events")], ["shop", "1"]);
    let describe = |told: &Told| {
        (told.kind(), told.attribute("http.response.status_code"), told.attribute("http.request.resend_count"))
    };
    let owned = |kind: &str, status: &str, resent: &str| (kind.to_owned(), status.to_owned(), resent.to_owned());
    assert_eq!(
        attempts.iter().map(describe).collect::<Vec<_>>(),
        [owned("Client", "500", ""), owned("Client", "200", "1")]
    );
    assert_eq!(attempts.iter().map(Told::has_failed).collect::<Vec<_>>(), [true, false]);
    assert!(attempts.iter().all(|attempt| attempt.parent() == webhook.id() && attempt.trace() == webhook.trace()));
    let expected: Vec<_> = attempts.iter().map(|told| format!("00-{}-{}-01", told.trace(), told.id())).collect();
    assert_eq!(told, expected);
    assert!(collector.heads().iter().all(|head| head.starts_with("post /own/path http/1.1")));
    assert!(!collector.has_heard("orders"), "what happened is the receiver's");
}

#[actix::test]
async fn by_default_webhooks_are_not_traced_and_say_nothing_of_it() {
    let (collector, mut receiver) = (Collector::start().await, Receiver::start().await);
    let webhooks = json!([{"url": receiver.url, "event_types": ["channel_occupied"]}]).to_string();
    let app = [("GAUNG_APP_ID", "gaung"), ("GAUNG_APP_KEY", "gaung-key"), ("GAUNG_APP_SECRET", "gaung-secret")];
    let traced = [("GAUNG_APP_WEBHOOKS", &*webhooks), ("OTEL_EXPORTER_OTLP_ENDPOINT", &*collector.endpoint)];
    let server = serve(&[&app[..], &traced].concat());
    let mut client = server.connect("/app/gaung-key").await.greeted().await;
    client.send(json!({"event": "pusher:subscribe", "data": {"channel": "orders"}})).await;
    let request = receiver.next().await;
    assert_eq!(request.header("Traceparent"), None);
    request.answer("200 OK", "");
    assert_eq!(post(&server, "gaung-secret", &json!({"name": "e", "channel": "b", "data": ""})).await, 200);
    eventually("a span", || async { !collector.spans().is_empty() }).await;
    assert!(collector.named("webhook").is_empty());
}

#[actix::test]
async fn a_request_that_its_app_has_signed_has_a_span_also_if_it_is_refused() {
    let collector = Collector::start().await;
    let server = serve(&[("OTEL_EXPORTER_OTLP_ENDPOINT", &collector.endpoint)]);
    assert_eq!(post(&server, "wrong", &json!({"name": "e", "channel": "a", "data": ""})).await, 401);
    assert_eq!(post(&server, "gaung-secret", &json!({"name": "e"})).await, 400);
    eventually("a span", || async { !collector.spans().is_empty() }).await;
    let [refused] = &collector.spans()[..] else { panic!("{:#?}", collector.spans()) };
    assert_eq!((refused.parent(), refused.trace()), (CALLER.to_owned(), TRACE.to_owned()));
    assert_eq!(
        [refused.attribute("http.route"), refused.attribute("http.response.status_code")],
        ["/apps/{app}/events", "400"]
    );
    // As the standard has it, a client's mistake is no failure of the server.
    assert!(!refused.has_failed());
    assert_eq!(refused.resource("service.name"), "gaung");
}

#[test]
fn all_bad_variables_of_traces_are_told_at_once_and_no_header_is_shown() {
    let bad = [
        ("OTEL_EXPORTER_OTLP_ENDPOINT", "collector:4318"),
        ("OTEL_EXPORTER_OTLP_HEADERS", "s3cret"),
        ("OTEL_EXPORTER_OTLP_PROTOCOL", "grpc"),
        ("OTEL_RESOURCE_ATTRIBUTES", "production"),
        ("OTEL_TRACES_SAMPLER", "xray"),
        ("OTEL_TRACES_SAMPLER_ARG", "2"),
    ];
    let (code, stdout, stderr) = run(&["check"], &bad);
    assert_eq!((code, stdout.as_str()), (Some(2), ""));
    assert_eq!(
        stderr,
        "gaung: OTEL_EXPORTER_OTLP_ENDPOINT is \"collector:4318\"; it must be an http:// or https:// URL without user and \
         password\n\
         gaung: OTEL_EXPORTER_OTLP_HEADERS is \"********\"; it must be comma-separated headers like api-key=value, \
         percent-encoded where need be\n\
         gaung: OTEL_EXPORTER_OTLP_PROTOCOL is \"grpc\"; it must be http/protobuf\n\
         gaung: OTEL_RESOURCE_ATTRIBUTES is \"production\"; it must be comma-separated pairs like name=value, \
         percent-encoded where need be\n\
         gaung: OTEL_TRACES_SAMPLER is \"xray\"; it must be parentbased_always_off or parentbased_always_on or \
         parentbased_traceidratio or always_on or always_off or traceidratio\n\
         gaung: OTEL_TRACES_SAMPLER_ARG is \"2\"; it must be a number from 0 to 1\n"
    );
}

#[test]
fn check_masks_what_logs_in_to_the_collector_and_leaves_the_variables_of_others_alone() {
    let set = [("OTEL_EXPORTER_OTLP_HEADERS", "api-key=s3cret"), ("OTEL_LOGS_EXPORTER", "whatever")];
    let (code, stdout, stderr) = run(&["check"], &set);
    assert_eq!(code, Some(0), "{stderr}");
    assert!(stdout.contains("\nOTEL_EXPORTER_OTLP_HEADERS=********  # environment\n"), "{stdout}");
    assert!(!stdout.contains("s3cret") && !stdout.contains("OTEL_LOGS_EXPORTER"), "{stdout}");
}
