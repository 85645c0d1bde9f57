//! What Laravel does: one event through the signed HTTP API.

use serde_json::json;

use super::{finding, in_time, report::Finding};
use crate::cli::{api, target::Target};

/// Publishes an event on a channel that nobody else has.
pub(super) async fn publish(target: &Target, channel: &str) -> Result<String, Finding> {
    let body = json!({"name": "gaung.doctor", "channels": [channel], "data": "{}"}).to_string();
    match in_time(api::post(target, body)).await {
        Some(Ok(answer)) => finding::of_api(answer.status, &answer.body, &target.app_id),
        Some(Err(failure)) => Err(finding::of_silent_api(&failure.to_string())),
        None => Err(finding::of_silent_api("there is no answer in time")),
    }
}
