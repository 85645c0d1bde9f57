//! A back end that signs its requests, for any app of any node.

use gaung::protocol::{AppKey, signature::sign_request};
use serde_json::{Value, json};

use crate::common::client::{http_client, key, now};

/// An app as its back end knows it.
#[derive(Clone)]
pub struct BackEnd {
    app: String,
    key: AppKey,
    client: awc::Client,
}

impl BackEnd {
    /// Of the app with the credentials that all vectors of protocol.md §2 use.
    pub fn of_the_app() -> Self {
        Self::new("app-id", key())
    }

    pub fn new(app: &str, key: AppKey) -> Self {
        Self { app: app.to_owned(), key, client: http_client() }
    }

    /// Posts to `/apps/{app}{path}` of the node at `origin`; status and body.
    pub async fn post(&self, origin: &str, path: &str, body: &Value) -> (u16, Value) {
        self.try_post(origin, path, body).await.expect("the node answers")
    }

    /// As [`Self::post`], where the node may be gone.
    pub async fn try_post(&self, origin: &str, path: &str, body: &Value) -> Option<(u16, Value)> {
        let path = format!("/apps/{}{path}", self.app);
        let body = body.to_string();
        let query = sign_request(&self.key, "POST", &path, &[], body.as_bytes(), now());
        let mut answer = self.client.post(format!("{origin}{path}?{query}")).send_body(body).await.ok()?;
        let text = answer.body().await.ok()?;
        Some((answer.status().as_u16(), serde_json::from_slice(&text).ok()?))
    }

    /// Asks a signed question of `/apps/{app}{path}`, which must be answered with 200.
    pub async fn get(&self, origin: &str, path: &str, params: &[(&str, &str)]) -> Value {
        let path = format!("/apps/{}{path}", self.app);
        let query = sign_request(&self.key, "GET", &path, params, b"", now());
        let mut answer = self.client.get(format!("{origin}{path}?{query}")).send().await.expect("an answer");
        let text = answer.body().limit(1 << 22).await.expect("the answer has a body");
        assert_eq!(answer.status().as_u16(), 200, "{}", String::from_utf8_lossy(&text));
        serde_json::from_slice(&text).expect("the answer is JSON")
    }

    /// Publishes an event, which must be accepted.
    pub async fn publish(&self, origin: &str, channel: &str, name: &str, data: &str) {
        let body = json!({"name": name, "channel": channel, "data": data});
        assert_eq!(self.post(origin, "/events", &body).await, (200, json!({})));
    }
}
