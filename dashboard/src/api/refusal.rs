//! API errors: `{"error": {"code", "message", "hint"}}` with a matching status.

use std::{borrow::Cow, time::Duration};

use axum::{
    Json,
    http::{HeaderValue, StatusCode, header},
    response::{IntoResponse, Response},
};
use serde_json::json;

use crate::{auth::throttle::retry_after, gate::Busy, page::PageError, report::ReportError};

/// Why a request is refused.
#[derive(Debug)]
pub(crate) struct Refusal {
    status: StatusCode,
    code: &'static str,
    message: Cow<'static, str>,
    hint: &'static str,
    wait: Option<Duration>,
}

impl Refusal {
    const fn new(status: StatusCode, code: &'static str, message: &'static str, hint: &'static str) -> Self {
        Self { status, code, message: Cow::Borrowed(message), hint, wait: None }
    }

    /// Status, code, and what happened and can be done about it.
    pub(super) fn parts(&self) -> (StatusCode, &'static str, String) {
        (self.status, self.code, format!("{}: {}", self.message, self.hint))
    }

    /// What was sent cannot be taken, and what could be.
    pub(super) fn unprocessable(message: String, hint: &'static str) -> Self {
        let refusal = Self::new(StatusCode::UNPROCESSABLE_ENTITY, "unprocessable", "", hint);
        Self { message: message.into(), ..refusal }
    }

    /// What was sent is too long.
    pub(super) fn too_long(message: String, hint: &'static str) -> Self {
        let refusal = Self::new(StatusCode::PAYLOAD_TOO_LARGE, "too_long", "", hint);
        Self { message: message.into(), ..refusal }
    }

    /// Too many requests of this reader.
    pub(super) fn too_many(wait: Duration) -> Self {
        let refusal = Self::new(
            StatusCode::TOO_MANY_REQUESTS,
            "too_many_requests",
            "you asked more often than is allowed",
            "RateLimit-Reset says in how many seconds you may again",
        );
        Self { wait: Some(wait), ..refusal }
    }

    /// How long to wait before the next request.
    pub(super) const fn wait(&self) -> Option<Duration> {
        self.wait
    }

    pub(super) const NOT_FOUND: Self = Self::new(
        StatusCode::NOT_FOUND,
        "not_found",
        "there is no such thing, or not for you",
        "GET /api/v1/sites lists the sites you may read",
    );
    pub(super) const UNAUTHORIZED: Self = Self::new(
        StatusCode::UNAUTHORIZED,
        "unauthorized",
        "no valid token or sign-in came with the request",
        "send 'Authorization: Bearer TOKEN'; 'sotto token add' makes one",
    );
}

impl IntoResponse for Refusal {
    fn into_response(self) -> Response {
        let body = json!({"error": {"code": self.code, "message": self.message, "hint": self.hint}});
        let mut response = (self.status, Json(body)).into_response();
        if let Some(wait) = self.wait {
            response.headers_mut().insert(header::RETRY_AFTER, retry_after(wait).into());
        }
        if self.status == StatusCode::UNAUTHORIZED {
            // RFC 9110, 11.6.1.
            response.headers_mut().insert(header::WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"));
        }
        response
    }
}

impl From<PageError> for Refusal {
    fn from(error: PageError) -> Self {
        match error {
            PageError::NotFound | PageError::NoLink => Self::NOT_FOUND,
            PageError::SignIn(_) => Self::UNAUTHORIZED,
            PageError::Forbidden | PageError::ForeignForm => {
                Self::new(StatusCode::FORBIDDEN, "forbidden", "your role does not allow this", "ask an owner")
            }
            PageError::Busy => Self::new(
                StatusCode::SERVICE_UNAVAILABLE,
                "busy",
                "too many reports run at the moment",
                "try again in a few seconds, or ask one question at a time",
            ),
            PageError::Away => Self::new(
                StatusCode::SERVICE_UNAVAILABLE,
                "database_away",
                "the database cannot be reached",
                "try again in a few seconds; visits are still being collected",
            ),
            PageError::Broken => Self::new(
                StatusCode::INTERNAL_SERVER_ERROR,
                "broken",
                "something went wrong",
                "the server's log says what",
            ),
        }
    }
}

impl From<Busy> for Refusal {
    fn from(busy: Busy) -> Self {
        PageError::from(busy).into()
    }
}

impl From<ReportError> for Refusal {
    fn from(error: ReportError) -> Self {
        match error {
            ReportError::Database(error) => PageError::from(error).into(),
            ReportError::Goals(error) => PageError::from(error).into(),
            ReportError::Metric(_)
            | ReportError::Dimension(_)
            | ReportError::Filter(_)
            | ReportError::Range(_)
            | ReportError::Source(_)
            | ReportError::Limit(_)
            | ReportError::Page => Self {
                message: error.to_string().into(),
                ..Self::new(StatusCode::BAD_REQUEST, "bad_request", "", "see the message for what is known")
            },
        }
    }
}

impl From<clickhouse::error::Error> for Refusal {
    fn from(error: clickhouse::error::Error) -> Self {
        PageError::from(error).into()
    }
}
