//! The router as a browser or program meets it, with a database that is away: what must hold even then.

use std::{io::Read as _, sync::Arc};

use axum::{
    Router,
    body::Body,
    http::{Request, StatusCode, header},
    response::Response,
};
use http_body_util::BodyExt as _;
use sotto_store::db::{Access, Databases, Db};
use tokio_util::sync::CancellationToken;
use tower::ServiceExt as _;

use crate::{Settings, router};

fn app() -> Router {
    // Port 9 of loopback: nothing listens there.
    let access = Access {
        url: "http://127.0.0.1:9".into(),
        database: "sotto".into(),
        user: "nobody".into(),
        password: String::new(),
    };
    let db = Db::new(access);
    router(Settings {
        databases: Databases { writer: db.clone(), reader: db },
        public_url: "https://stats.example.org".into(),
        sites_changed: Arc::new(|| {}),
        setup_token: Some(sotto_store::account::secret_hash("token")),
        account_key: None,
        secure_cookies: true,
        modules: Vec::new(),
        script: Arc::new(|_| None),
        event_path: "/e".into(),
        sends_mail: true,
        geo_attribution: None,
        stopping: CancellationToken::new(),
    })
}

async fn get(path: &str, headers: &[(&str, &str)]) -> Response {
    let mut request = Request::get(path).header(header::HOST, "stats.example.org");
    for (name, value) in headers {
        request = request.header(*name, *value);
    }
    app().oneshot(request.body(Body::empty()).unwrap()).await.unwrap()
}

async fn post(path: &str, form: &str, headers: &[(&str, &str)]) -> Response {
    let mut request = Request::post(path)
        .header(header::HOST, "stats.example.org")
        .header(header::CONTENT_TYPE, "application/x-www-form-urlencoded");
    for (name, value) in headers {
        request = request.header(*name, *value);
    }
    app().oneshot(request.body(Body::from(form.to_owned())).unwrap()).await.unwrap()
}

async fn text(response: Response) -> String {
    let bytes = response.into_body().collect().await.unwrap().to_bytes();
    String::from_utf8(bytes.to_vec()).unwrap()
}

const COOKIE: (&str, &str) =
    ("cookie", "__Host-sotto=0000000000000000000000000000000000000000000000000000000000000000");
const OWN: (&str, &str) = ("sec-fetch-site", "same-origin");

#[tokio::test]
async fn every_answer_has_the_strict_policy_and_is_not_kept() {
    for path in ["/sign-in", "/s/abc", "/nowhere", "/api/v1/sites", "/assets/none.js", "/setup/wrong"] {
        let response = get(path, &[]).await;
        let headers = response.headers();
        let policy = headers["content-security-policy"].to_str().unwrap();
        assert!(policy.starts_with("default-src 'none'; script-src 'self'; style-src 'self';"), "{path}");
        assert!(!policy.contains("unsafe"), "{path}");
        assert_eq!(headers["x-content-type-options"], "nosniff", "{path}");
        assert_eq!(headers["cache-control"], "no-store", "{path}");
    }
}

#[tokio::test]
async fn page_has_no_inline_style_script_or_foreign_address() {
    let page = text(get("/sign-in", &[]).await).await;
    for forbidden in ["style=", "<style", "onclick", "http://", "https://"] {
        assert!(!page.contains(forbidden), "{forbidden}");
    }
}

#[tokio::test]
async fn visitor_without_sign_in_is_sent_to_it_and_comes_back() {
    let response = get("/s/abc?p=7d", &[]).await;
    assert_eq!(response.status(), StatusCode::SEE_OTHER);
    assert_eq!(response.headers()["location"], "/sign-in?next=%2Fs%2Fabc%3Fp%3D7d");
}

#[tokio::test]
async fn database_away_is_said_on_a_page_that_tries_again() {
    let response = get("/s/abc", &[COOKIE]).await;
    assert_eq!(response.status(), StatusCode::SERVICE_UNAVAILABLE);
    let page = text(response).await;
    assert!(page.contains("The database is away") && page.contains("http-equiv=\"refresh\""));
}

#[tokio::test]
async fn form_from_another_site_is_refused_before_anything_is_read() {
    for headers in [&[("sec-fetch-site", "cross-site")][..], &[], &[("origin", "https://evil.test")]] {
        let response = post("/sign-in", "email=a@b.c&password=x", headers).await;
        assert_eq!(response.status(), StatusCode::FORBIDDEN, "{headers:?}");
    }
    let own = post("/sign-in", "email=a@b.cd&password=x", &[OWN]).await;
    assert_eq!(own.status(), StatusCode::SERVICE_UNAVAILABLE);
}

#[tokio::test]
async fn form_beyond_the_limit_is_refused() {
    let form = format!("email={}&password=x", "a".repeat(64 * 1024));
    assert_eq!(post("/sign-in", &form, &[OWN]).await.status(), StatusCode::PAYLOAD_TOO_LARGE);
}

#[tokio::test]
async fn wrong_set_up_link_is_not_found_without_asking_the_database() {
    assert_eq!(get("/setup/wrong", &[]).await.status(), StatusCode::NOT_FOUND);
    assert_eq!(get("/setup/token", &[]).await.status(), StatusCode::SERVICE_UNAVAILABLE);
}

#[tokio::test]
async fn api_refuses_in_json_with_a_hint() {
    for (path, headers, status, code) in [
        ("/api/v1/sites", &[][..], StatusCode::UNAUTHORIZED, "unauthorized"),
        ("/api/v1/sites", &[("authorization", "Basic x")], StatusCode::UNAUTHORIZED, "unauthorized"),
        ("/api/v1/sites", &[("authorization", "Bearer x")], StatusCode::SERVICE_UNAVAILABLE, "database_away"),
        ("/api/v9/what", &[], StatusCode::NOT_FOUND, "not_found"),
    ] {
        let response = get(path, headers).await;
        assert_eq!(response.status(), status, "{path}");
        let body: serde_json::Value = serde_json::from_str(&text(response).await).unwrap();
        assert_eq!(body["error"]["code"], code);
        assert!(!body["error"]["hint"].as_str().unwrap().is_empty());
    }
}

#[tokio::test]
async fn sign_out_forgets_the_cookie() {
    let response = post("/sign-out", "", &[OWN]).await;
    let cookie = response.headers()["set-cookie"].to_str().unwrap();
    assert_eq!(cookie, "__Host-sotto=; Path=/; Max-Age=0; HttpOnly; SameSite=Lax; Secure");
}

#[tokio::test]
async fn page_is_compressed_where_the_browser_takes_it() {
    let plain = get("/sign-in", &[]).await;
    assert!(!plain.headers().contains_key("content-encoding"));
    assert_eq!(plain.headers()["vary"], "accept-encoding");
    let plain = text(plain).await;
    for (accepted, expected) in [
        ("gzip, deflate, br", "br"),
        // All that browsers offer on plain HTTP.
        ("gzip, deflate", "gzip"),
        ("br;q=0, gzip", "gzip"),
    ] {
        let response = get("/sign-in", &[("accept-encoding", accepted)]).await;
        assert_eq!(response.headers()["content-encoding"], expected, "{accepted}");
        assert!(!response.headers().contains_key("content-length"), "{accepted}");
        let packed = response.into_body().collect().await.unwrap().to_bytes();
        assert!(packed.len() < plain.len() / 2, "{accepted}: {} of {} bytes", packed.len(), plain.len());
        let mut unpacked = String::new();
        let read = match expected {
            "br" => brotli::Decompressor::new(&*packed, 4_096).read_to_string(&mut unpacked),
            _ => flate2::read::GzDecoder::new(&*packed).read_to_string(&mut unpacked),
        };
        assert!(read.is_ok() && unpacked == plain, "{accepted}");
    }
}

#[tokio::test]
async fn short_answer_is_sent_as_it_is() {
    let response = get("/api/v9/what", &[("accept-encoding", "gzip, br")]).await;
    assert!(!response.headers().contains_key("content-encoding"));
}

#[tokio::test]
async fn asset_is_kept_for_ever_and_compressed() {
    for (accepted, expected) in [("gzip, br", "br"), ("gzip", "gzip")] {
        let response = get(crate::assets::APP_CSS, &[("accept-encoding", accepted)]).await;
        let encodings: Vec<_> = response.headers().get_all("content-encoding").iter().collect();
        assert_eq!(encodings, [expected], "once, at build time");
    }
    let response = get(crate::assets::APP_CSS, &[]).await;
    assert!(!response.headers().contains_key("content-encoding"));
    assert_eq!(response.headers()["cache-control"], "public, max-age=31536000, immutable");
    assert_eq!(get("/assets/manifest.json", &[]).await.status(), StatusCode::NOT_FOUND);
}
