//! Errors of version 2 of the API: `application/problem+json` (RFC 9457).
//!
//! Besides the members of the standard: `code` for programs, `field` with what of the question is meant, as in `metrics[1]`,
//! `allowed` with what would be understood there, and `error` with the message once more, where clients of Plausible read it.

use std::time::Duration;

use axum::{
    http::{HeaderValue, StatusCode, header},
    response::{IntoResponse, Response},
};
use serde_json::{Map, Value, json};

use super::super::refusal::Refusal;
use crate::{auth::throttle::retry_after, page::PageError, report::ReportError};

/// The media type of RFC 9457.
pub(super) const MEDIA_TYPE: &str = "application/problem+json";

/// Why a question is not answered.
#[derive(Debug)]
pub(super) struct Problem {
    pub(super) status: StatusCode,
    code: &'static str,
    detail: String,
    field: String,
    allowed: Vec<String>,
    wait: Option<Duration>,
}

impl Problem {
    fn new(status: StatusCode, code: &'static str, detail: String) -> Self {
        Self { status, code, detail, field: String::new(), allowed: Vec::new(), wait: None }
    }

    /// A question that cannot be answered, because of this part of it.
    pub(super) fn bad(field: impl Into<String>, detail: impl Into<String>) -> Self {
        let problem = Self::new(StatusCode::BAD_REQUEST, "bad_request", detail.into());
        Self { field: field.into(), ..problem }
    }

    /// A site that is not there, or not for this reader.
    pub(super) fn no_site() -> Self {
        let detail = "there is no such site, or not for you; GET /api/v1/sites lists those that you may read";
        Self { field: "site_id".into(), ..Self::new(StatusCode::NOT_FOUND, "not_found", detail.into()) }
    }

    /// Another method than that of questions.
    pub(super) fn only_post() -> Self {
        Self::new(StatusCode::METHOD_NOT_ALLOWED, "method_not_allowed", "questions are sent with POST".into())
    }

    /// A question that is too long.
    pub(super) fn long(bytes_max: usize) -> Self {
        let detail = format!("a question has at most {bytes_max} bytes");
        Self::new(StatusCode::PAYLOAD_TOO_LARGE, "too_large", detail)
    }

    /// With what would be understood.
    pub(super) fn allowing<T: Into<String>>(self, allowed: impl IntoIterator<Item = T>) -> Self {
        Self { allowed: allowed.into_iter().map(Into::into).collect(), ..self }
    }
}

impl IntoResponse for Problem {
    fn into_response(self) -> Response {
        let title = self.status.canonical_reason().unwrap_or("Error");
        let mut body = Map::new();
        body.insert("type".into(), "about:blank".into());
        body.insert("title".into(), title.into());
        body.insert("status".into(), self.status.as_u16().into());
        body.insert("detail".into(), self.detail.clone().into());
        body.insert("code".into(), self.code.into());
        if !self.field.is_empty() {
            body.insert("field".into(), self.field.into());
        }
        if !self.allowed.is_empty() {
            body.insert("allowed".into(), json!(self.allowed));
        }
        body.insert("error".into(), self.detail.into());
        let kind = HeaderValue::from_static(MEDIA_TYPE);
        let text = Value::Object(body).to_string();
        let mut response = (self.status, [(header::CONTENT_TYPE, kind)], text).into_response();
        if let Some(wait) = self.wait {
            response.headers_mut().insert(header::RETRY_AFTER, retry_after(wait).into());
        }
        if self.status == StatusCode::UNAUTHORIZED {
            let bearer = HeaderValue::from_static("Bearer");
            response.headers_mut().insert(header::WWW_AUTHENTICATE, bearer);
        }
        response
    }
}

impl From<Refusal> for Problem {
    fn from(refusal: Refusal) -> Self {
        let wait = refusal.wait();
        let (status, code, detail) = refusal.parts();
        Self { wait, ..Self::new(status, code, detail) }
    }
}

impl From<ReportError> for Problem {
    fn from(error: ReportError) -> Self {
        Refusal::from(error).into()
    }
}

impl From<PageError> for Problem {
    fn from(error: PageError) -> Self {
        Refusal::from(error).into()
    }
}
