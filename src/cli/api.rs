//! Requests to the HTTP API, signed as a back end signs them.

use std::time::{Duration, SystemTime};

use awc::{SendClientRequest, http::Method};
use gaung::protocol::signature;

use super::{Failure, target::Target};

/// The longest answer that is read: an app may have many channels.
const MAX_ANSWER_BYTES: usize = 256 << 20;

/// How long an answer may take.
const PATIENCE: Duration = Duration::from_secs(30);

/// What the API answered, whatever it was.
pub(super) struct Answer {
    pub status: u16,
    pub body: String,
}

/// Publishes an event. The text of the answer, which must be 200.
pub(super) async fn publish(target: &Target, body: String) -> Result<String, Failure> {
    post(target, body).await?.accepted("the event was refused")
}

/// Posts an event, whatever the answer.
pub(super) async fn post(target: &Target, body: String) -> Result<Answer, Failure> {
    let path = target.api_path(&["events"]);
    let url = signed_url(target, &Method::POST, &path, &[], body.as_bytes());
    let request = target.client().post(url).timeout(PATIENCE).content_type("application/json");
    answer(target, request.send_body(body)).await
}

/// Asks for one of the app's resources. The text of the answer, which must be 200.
pub(super) async fn get(target: &Target, segments: &[&str], parameters: &[(&str, &str)]) -> Result<String, Failure> {
    let url = signed_url(target, &Method::GET, &target.api_path(segments), parameters, b"");
    answer(target, target.client().get(url).timeout(PATIENCE).send()).await?.accepted("the request was refused")
}

fn signed_url(target: &Target, method: &Method, path: &str, parameters: &[(&str, &str)], body: &[u8]) -> String {
    let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
    let query = signature::sign_request(&target.key, method.as_str(), path, parameters, body, now);
    target.api_url(path, &query)
}

async fn answer(target: &Target, sent: SendClientRequest) -> Result<Answer, Failure> {
    let mut answer = sent.await.map_err(|error| Failure::new(format!("{} does not answer: {error}", target.base())))?;
    let text = answer.body().limit(MAX_ANSWER_BYTES).await;
    let text = text.map_err(|error| Failure::new(format!("the answer broke off: {error}")))?;
    Ok(Answer { status: answer.status().as_u16(), body: String::from_utf8_lossy(&text).trim().to_owned() })
}

impl Answer {
    fn accepted(self, refused: &str) -> Result<String, Failure> {
        match self.status {
            200 => Ok(self.body),
            status => Err(Failure::new(format!("{refused}: {status} {}", self.body))),
        }
    }
}
