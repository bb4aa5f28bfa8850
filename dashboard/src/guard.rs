//! Security headers for every response, and a check that changes come from our own pages.

use axum::{
    extract::Request,
    http::{HeaderMap, HeaderName, HeaderValue, Method, header},
    middleware::Next,
    response::{IntoResponse, Response},
};

use sotto_schema::origin::is_from_own_page;

use crate::{
    api::Refusal,
    mail::UNSUBSCRIBE,
    page::{Embedders, LetterInside, PageError, SecretForm, ShowsLetter},
};

/// Scripts, styles and forms of our own only; nothing may frame us.
const CONTENT_SECURITY_POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; \
     connect-src 'self'; form-action 'self'; frame-ancestors 'none'; base-uri 'none'";

/// A letter has its styles and pictures in itself, and our pages show it; it runs nothing and sends nothing.
const LETTER_POLICY: &str = "default-src 'none'; img-src data:; style-src 'unsafe-inline'; form-action 'none'; \
     frame-ancestors 'self'; base-uri 'none'; sandbox";

/// Headers against framing, MIME sniffing and leaks through the referrer. The referrer policy is not
/// `no-referrer`, because with it browsers send `Origin: null` with our own forms, which [`own_pages_only`] needs
/// where `Sec-Fetch-Site` is missing (plain HTTP in a local network).
const HEADERS: [(HeaderName, &str); 6] = [
    (header::CONTENT_SECURITY_POLICY, CONTENT_SECURITY_POLICY),
    (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
    (header::REFERRER_POLICY, "same-origin"),
    (header::X_FRAME_OPTIONS, "DENY"),
    (HeaderName::from_static("cross-origin-opener-policy"), "same-origin"),
    (
        HeaderName::from_static("permissions-policy"),
        "camera=(), microphone=(), geolocation=(), browsing-topics=()",
    ),
];

/// Where programs ask.
const API: &str = "/api/";

/// Where programs ask questions.
pub(crate) const QUESTIONS: &str = "/api/v2/query";

/// What addresses with a secret in them send along to nobody. The form for the password is sent with the origin alone:
/// with `no-referrer` it would come from "null".
const SECRET_REFERRER: HeaderValue = HeaderValue::from_static("no-referrer");
const FORM_REFERRER: HeaderValue = HeaderValue::from_static("strict-origin");

pub(crate) async fn headers(request: Request, next: Next) -> Response {
    let path = request.uri().path();
    let (shared, public) = (path.starts_with("/shared/"), path.starts_with("/public/"));
    let ends_mail = path.starts_with(UNSUBSCRIBE);
    let mut response = next.run(request).await;
    let embedders = response.extensions_mut().remove::<Embedders>();
    let asks = response.extensions_mut().remove::<SecretForm>().is_some();
    let is_letter = response.extensions_mut().remove::<LetterInside>().is_some();
    let shows_letter = response.extensions_mut().remove::<ShowsLetter>().is_some();
    let headers = response.headers_mut();
    for (name, value) in HEADERS {
        headers.insert(name, HeaderValue::from_static(value));
    }
    if shared {
        headers.insert(header::REFERRER_POLICY, if asks { FORM_REFERRER } else { SECRET_REFERRER });
    }
    if ends_mail {
        headers.insert(header::REFERRER_POLICY, SECRET_REFERRER);
    }
    if is_letter {
        headers.insert(header::CONTENT_SECURITY_POLICY, HeaderValue::from_static(LETTER_POLICY));
        headers.insert(header::X_FRAME_OPTIONS, HeaderValue::from_static("SAMEORIGIN"));
    }
    if shows_letter
        && let Ok(policy) = HeaderValue::from_str(&format!("{CONTENT_SECURITY_POLICY}; frame-src 'self'"))
    {
        headers.insert(header::CONTENT_SECURITY_POLICY, policy);
    }
    if shared || public || ends_mail {
        headers.insert(HeaderName::from_static("x-robots-tag"), HeaderValue::from_static("noindex"));
    }
    if let Some(policy) = embedders.and_then(|embedders| embedded_policy(&embedders)) {
        headers.insert(header::CONTENT_SECURITY_POLICY, policy);
        // It knows "nobody" and "the same site" only.
        headers.remove(header::X_FRAME_OPTIONS);
    }
    if !headers.contains_key(header::CACHE_CONTROL) {
        headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    }
    response
}

/// The policy of a page that pages of some hosts may show in a frame, over HTTPS.
fn embedded_policy(Embedders(hosts): &Embedders) -> Option<HeaderValue> {
    let ancestors: String = hosts.iter().map(|host| format!(" https://{host}")).collect();
    let none = "frame-ancestors 'none'";
    let policy = CONTENT_SECURITY_POLICY.replace(none, &format!("frame-ancestors{ancestors}"));
    HeaderValue::from_str(&policy).ok().filter(|_| !hosts.is_empty())
}

/// Rejects changes that another site's page triggered. The link that ends mail is asked by mail servers, which are no browsers:
/// its secret is all that it needs, and no cookie counts there. Questions of programs are looked at where they are answered: those that
/// a browser sends with its cookie have to come from our own pages as well. Where a token comes with a request to the API, no cookie counts
/// either ([`crate::api`]), and no page of another site can send one.
pub(crate) async fn own_pages_only(request: Request, next: Next) -> Response {
    let reads = matches!(*request.method(), Method::GET | Method::HEAD | Method::OPTIONS);
    let ends_mail = request.uri().path().starts_with(UNSUBSCRIBE);
    let is_question = request.uri().path() == QUESTIONS;
    let is_of_api = request.uri().path().starts_with(API);
    let has_token = request.headers().contains_key(header::AUTHORIZATION);
    let has_cookie = request.headers().contains_key(header::COOKIE);
    // Without a cookie, it is refused where it is answered, as a request of nobody.
    let is_of_program = is_of_api && (has_token || !has_cookie);
    if reads || ends_mail || is_question || is_of_program || from_own_page(request.headers()) {
        next.run(request).await
    } else if is_of_api {
        Refusal::from(PageError::ForeignForm).into_response()
    } else {
        PageError::ForeignForm.into_response()
    }
}

/// Whether a request came from one of our own pages, as far as its browser says.
pub(crate) fn from_own_page(headers: &HeaderMap) -> bool {
    is_from_own_page(|name| headers.get(name).and_then(|value| value.to_str().ok()))
}
