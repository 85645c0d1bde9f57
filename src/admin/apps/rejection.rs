//! Why a request about apps is not acted on.

use actix_web::{HttpResponse, http::StatusCode};

use crate::admin::{answer::refusal, console};

#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Rejection {
    /// Who asks may not.
    Denied(console::Denied),
    /// The request says something else than it must, or comes from elsewhere.
    Wrong(StatusCode, String),
}

impl Rejection {
    pub(super) fn new(status: StatusCode, text: impl Into<String>) -> Self {
        Self::Wrong(status, text.into())
    }

    pub(super) fn answer(self) -> HttpResponse {
        match self {
            Self::Denied(denied) => console::refuse(denied),
            Self::Wrong(status, text) => refusal(status, &text),
        }
    }
}
