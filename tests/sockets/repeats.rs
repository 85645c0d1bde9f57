//! Posts with an idempotency key, on a node that is alone.

use serde_json::{Value, json};

use crate::{
    harness::Client,
    http::{BackEnd, back_end, default_back_end},
};

const EVENTS: &str = "/apps/app-id/events";
const BATCH: &str = "/apps/app-id/batch_events";

fn keyed(name: &str, key: &str) -> Value {
    json!({ "name": name, "data": "{}", "channel": "a", "idempotency_key": key })
}

async fn subscribed(back_end: &BackEnd) -> Client {
    let mut client = back_end.node.connect().await;
    client.subscribe("a").await;
    client
}

async fn expect_only(client: &mut Client, name: &str) {
    client.expect_exactly(json!({ "event": name, "channel": "a", "data": "{}" })).await;
    client.expect_silence().await;
}

#[actix_web::test]
async fn a_second_post_with_a_key_is_answered_as_the_first_and_delivers_nothing() {
    let back_end = default_back_end().await;
    let mut client = subscribed(&back_end).await;
    let mut body = keyed("paid", "order-7");
    body["info"] = json!("subscription_count");
    let answer = json!({ "channels": { "a": { "subscription_count": 1 } } });
    back_end.post(EVENTS, &body.to_string()).await.expect(200, &answer);
    // What is true by now does not matter: the answer is the first one.
    let _other = subscribed(&back_end).await;
    back_end.post(EVENTS, &body.to_string()).await.expect(200, &answer);
    expect_only(&mut client, "paid").await;
    assert_eq!(back_end.node.node.metrics.repeats.get(), 1);
}

#[actix_web::test]
async fn a_batch_with_a_key_is_published_once() {
    let back_end = default_back_end().await;
    let mut client = subscribed(&back_end).await;
    let event = json!({ "name": "paid", "data": "{}", "channel": "a" });
    let body = json!({ "batch": [event], "idempotency_key": "order-7" }).to_string();
    for _ in 0..2 {
        back_end.post(BATCH, &body).await.expect(200, &json!({}));
    }
    expect_only(&mut client, "paid").await;
}

#[actix_web::test]
async fn a_key_with_another_body_or_path_is_refused_with_422() {
    let back_end = default_back_end().await;
    let mut client = subscribed(&back_end).await;
    back_end.post(EVENTS, &keyed("paid", "order-7").to_string()).await.expect(200, &json!({}));
    let refusal = "this idempotency_key was posted with another body, or to another path, within the last 120 seconds";
    back_end.post(EVENTS, &keyed("other", "order-7").to_string()).await.expect_refusal(422, refusal);
    let batch = json!({ "batch": [], "idempotency_key": "order-7" });
    back_end.post(BATCH, &batch.to_string()).await.expect_refusal(422, refusal);
    expect_only(&mut client, "paid").await;
    assert_eq!(back_end.node.counted().refusals("key_reused"), 2);
}

#[actix_web::test]
async fn of_many_posts_with_a_key_at_once_one_is_delivered() {
    let back_end = default_back_end().await;
    let mut client = subscribed(&back_end).await;
    let body = keyed("paid", "order-7").to_string();
    let posts = (0..20).map(|_| back_end.post(EVENTS, &body));
    for answer in futures_util::future::join_all(posts).await {
        answer.expect(200, &json!({}));
    }
    expect_only(&mut client, "paid").await;
}

#[actix_web::test]
async fn a_repeat_counts_in_no_rate_and_what_was_refused_may_be_posted_again() {
    let back_end = back_end(|_| {}, |app| app.events_per_second = Some(1)).await;
    let mut client = subscribed(&back_end).await;
    let first = keyed("paid", "order-7").to_string();
    back_end.post(EVENTS, &first).await.expect(200, &json!({}));
    let second = keyed("late", "order-8").to_string();
    back_end.post(EVENTS, &second).await.expect_refusal(429, "too many events");
    back_end.post(EVENTS, &first).await.expect(200, &json!({}));
    expect_only(&mut client, "paid").await;
    while back_end.post(EVENTS, &second).await.status == 429 {
        tokio::task::yield_now().await;
    }
    expect_only(&mut client, "late").await;
}

#[actix_web::test]
async fn a_key_that_is_none_is_refused() {
    let back_end = default_back_end().await;
    let too_long = "the idempotency_key has 129 characters, allowed are 1 to 128";
    back_end.post(EVENTS, &keyed("e", &"x".repeat(129)).to_string()).await.expect_refusal(400, too_long);
    let inside = json!({ "batch": [keyed("e", "order-7")] });
    back_end.post(BATCH, &inside.to_string()).await.expect_refusal(400, "it belongs beside batch");
}
