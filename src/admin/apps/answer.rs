//! What is answered about apps: their state with its ETag, a drawn secret once, and refusals with their status.

use actix_web::{
    HttpResponse, HttpResponseBuilder,
    http::{StatusCode, header},
};
use serde::Serialize;
use serde_json::json;

use crate::{
    admin::answer::refusal,
    app_store::{ChangeError, Changed, Listed},
};

pub(super) struct Answer;

/// A changed app, with the pair that was drawn for it.
#[derive(Serialize)]
struct WithPair<'a> {
    #[serde(flatten)]
    app: &'a Listed,
    #[serde(skip_serializing_if = "Option::is_none")]
    key: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    secret: Option<&'a str>,
}

impl Answer {
    pub(super) fn list(apps: &[Listed]) -> HttpResponse {
        unstored(StatusCode::OK).json(json!({ "apps": apps }))
    }

    pub(super) fn one(app: Option<Listed>, id: &str) -> HttpResponse {
        match app {
            Some(app) => tagged(StatusCode::OK, &app).json(app),
            None => Self::refused(&ChangeError::Unknown(id.to_owned())),
        }
    }

    pub(super) fn changed(changed: &Changed) -> HttpResponse {
        let Some(app) = &changed.app else { return unstored(StatusCode::NO_CONTENT).finish() };
        let status = if changed.is_new { StatusCode::CREATED } else { StatusCode::OK };
        let pair = changed.drawn.as_ref();
        let (key, secret) = (pair.map(|pair| pair.key.as_str()), pair.map(|pair| pair.secret.expose()));
        tagged(status, app).json(WithPair { app, key, secret })
    }

    pub(super) fn refused(error: &ChangeError) -> HttpResponse {
        let text = error.to_string();
        match error {
            ChangeError::Unknown(_) => refusal(StatusCode::NOT_FOUND, &text),
            ChangeError::Exists(_) | ChangeError::Conflict { .. } => refusal(StatusCode::PRECONDITION_FAILED, &text),
            ChangeError::Invalid(problems) => HttpResponse::build(StatusCode::UNPROCESSABLE_ENTITY)
                .json(json!({ "error": text, "problems": problems })),
            ChangeError::Refused(_) => refusal(StatusCode::CONFLICT, &text),
            ChangeError::Failed(_) => refusal(StatusCode::SERVICE_UNAVAILABLE, &text),
        }
    }
}

fn tagged(status: StatusCode, app: &Listed) -> HttpResponseBuilder {
    let mut answer = unstored(status);
    if let Some(revision) = &app.revision {
        answer.insert_header((header::ETAG, format!("\"{revision}\"")));
    }
    answer
}

fn unstored(status: StatusCode) -> HttpResponseBuilder {
    let mut answer = HttpResponse::build(status);
    answer.insert_header((header::CACHE_CONTROL, "no-store"));
    answer
}
