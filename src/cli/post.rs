//! One event to the trigger API, signed as a back end signs it.

use std::time::SystemTime;

use gaung::protocol::signature;

use super::{Failure, target::Target};

/// The text of the answer, which must be 200.
pub async fn event(target: &Target, body: String) -> Result<String, Failure> {
    let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
    let query = signature::sign_request(&target.key, "POST", &target.events_path(), &[], body.as_bytes(), now);
    let request = target.client().post(target.api_url(&query)).content_type("application/json");
    let answer = request.send_body(body).await;
    let mut answer = answer.map_err(|error| Failure::new(format!("{} does not answer: {error}", target.base())))?;
    let text = answer.body().await.map_err(|error| Failure::new(format!("the answer broke off: {error}")))?;
    let (status, text) = (answer.status().as_u16(), String::from_utf8_lossy(&text).trim().to_owned());
    if status == 200 { Ok(text) } else { Err(Failure::new(format!("the event was refused: {status} {text}"))) }
}
