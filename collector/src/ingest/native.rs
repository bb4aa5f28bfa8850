//! The native format (`POST /e`), the pixel (`GET /e.gif`) and the check of self-exclusion links (`POST /x`).
//! Decodes and answers; [`super::road`] does the rest.

use bytes::Bytes;
use http::{HeaderMap, HeaderName, HeaderValue, StatusCode, header};
use http_body_util::{BodyExt, LengthLimitError, Limited};
use hyper::{Request, body::Incoming};
use sotto_schema::outcome::{DropReason, Outcome};

use super::{
    Collector,
    held::Ended,
    road::{NotTaken, Submission, Unkept},
};
use crate::{
    config::sites::tokens,
    http::stack::{self, Response},
    pipeline::parse,
};

/// Reports the outcomes of a request's hits, in order, to the owner of a token.
const OUTCOME: HeaderName = HeaderName::from_static("x-sotto-outcome");

/// Maximum body of a self-exclusion check.
const EXCLUDE_BYTES_MAX: usize = 1_024;

/// A 1x1 transparent GIF.
const PIXEL: &[u8] = b"GIF89a\x01\x00\x01\x00\x80\x00\x00\x00\x00\x00\x00\x00\x00\x00!\xf9\x04\x01\x00\x00\x00\x00,\x00\x00\x00\x00\x01\x00\x01\x00\x00\x02\x02D\x01\x00;";

impl Collector {
    /// `POST /e`: 204, also for hits that are dropped.
    pub async fn native(&self, request: Request<Incoming>) -> Response {
        let (parts, body) = request.into_parts();
        let body = match self.read_body(body, parse::BODY_BYTES_MAX).await {
            Ok(body) => body,
            Err(answer) => return answer,
        };
        let hits = match parse::hits(&body) {
            Ok(hits) => hits,
            Err(error) => {
                self.count_unread(error.reason());
                return stack::empty(StatusCode::NO_CONTENT);
            }
        };
        let hits = hits.into_iter().map(|hit| hit.map(Submission::from).map_err(NotTaken::from)).collect();
        let kept = self.keep(hits, &parts.headers, parts.extensions.get()).await;
        kept.map_or_else(unkept, |ended| self.tell_owner(&ended, &parts.headers))
    }

    /// `GET /e.gif`: a pageview without JavaScript.
    pub(super) async fn pixel(&self, request: Request<Incoming>) -> Response {
        let (parts, _) = request.into_parts();
        let mut hit = match parse::pixel(parts.uri.query().unwrap_or_default()) {
            Ok(hit) => hit,
            Err(error) => {
                self.count_unread(error.reason());
                return pixel();
            }
        };
        if hit.url.is_empty() {
            // An image cannot report its page's URL; the browser's `Referer` does, as far as the page's
            // policy allows.
            let referer = header_text(&parts.headers, header::REFERER);
            hit.url = if referer.len() <= parse::URL_BYTES_MAX { referer.into() } else { String::new() };
        }
        let kept = self.keep(vec![Ok(hit.into())], &parts.headers, parts.extensions.get()).await;
        kept.map_or_else(unkept, |_| pixel())
    }

    /// Verifies a self-exclusion link: `{"s": site key, "t": token}`.
    pub(super) async fn exclude(&self, request: Request<Incoming>) -> Response {
        #[derive(serde::Deserialize)]
        struct Question {
            s: String,
            t: String,
        }
        let Ok(body) = Limited::new(request.into_body(), EXCLUDE_BYTES_MAX).collect().await else {
            return stack::empty(StatusCode::PAYLOAD_TOO_LARGE);
        };
        let good = serde_json::from_slice::<Question>(&body.to_bytes()).is_ok_and(|asked| {
            self.rules.get(&asked.s).is_some_and(|rules| self.excluder.is_good(&rules.site, &asked.t))
        });
        stack::empty(if good { StatusCode::NO_CONTENT } else { StatusCode::FORBIDDEN })
    }

    /// Reads a body within its limit; an `Err` is the response.
    pub(super) async fn read_body(&self, body: Incoming, bytes_max: usize) -> Result<Bytes, Response> {
        match Limited::new(body, bytes_max).collect().await {
            Ok(body) => Ok(body.to_bytes()),
            Err(error) if error.is::<LengthLimitError>() => {
                self.count_unread(DropReason::BodyTooLarge);
                Err(stack::empty(StatusCode::PAYLOAD_TOO_LARGE))
            }
            // The client disconnected mid-body: there is no hit and nobody to answer.
            Err(_) => Err(stack::empty(StatusCode::BAD_REQUEST)),
        }
    }

    /// Counts a request that could not be attributed to any site.
    pub(super) fn count_unread(&self, reason: DropReason) {
        self.metrics.count(sotto_schema::id::SiteId::NONE, self.clock.now_ms(), Outcome::Dropped(reason));
    }

    /// 204; only a request with a token of the site learns the outcomes of its hits.
    fn tell_owner(&self, ended: &[Ended], headers: &HeaderMap) -> Response {
        let mut response = stack::empty(StatusCode::NO_CONTENT);
        if let Some(bearer) = self.tokens.of_headers(headers) {
            let name = |ended: &Ended| match ended.outcome {
                _ if !tokens::covers(Some(bearer), ended.site) => "unknown",
                Outcome::Dropped(reason) => reason.name(),
                Outcome::Stored | Outcome::Minimised => ended.outcome.name(),
            };
            let names: Vec<&str> = ended.iter().map(name).collect();
            response
                .headers_mut()
                .extend(HeaderValue::from_str(&names.join(", ")).ok().map(|v| (OUTCOME, v)));
        }
        response
    }
}

/// The answer when nothing was kept.
pub(super) fn unkept(why: Unkept) -> Response {
    match why {
        Unkept::NoRoom | Unkept::SiteUndecided => stack::unavailable(),
        Unkept::NoPeer => stack::empty(StatusCode::INTERNAL_SERVER_ERROR),
    }
}

/// The response to an image request.
pub(super) fn pixel() -> Response {
    let mut response = Response::new(Bytes::from_static(PIXEL).into());
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("image/gif"));
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    headers.insert("cross-origin-resource-policy", HeaderValue::from_static("cross-origin"));
    response
}

/// A header as text; empty if missing or not text.
pub(super) fn header_text(headers: &HeaderMap, name: HeaderName) -> &str {
    headers.get(name).and_then(|value| value.to_str().ok()).unwrap_or_default()
}
