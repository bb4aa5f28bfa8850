//! The plain listener beside HTTPS: it answers ACME authorities, and sends everybody else on to HTTPS.
//!
//! **Refuses.** A host name for which there is no certificate: who could choose it would choose where browsers go.

use std::{convert::Infallible, sync::Arc};

use bytes::Bytes;
use http::{HeaderValue, Method, Request, StatusCode, header};

use super::{
    stack::{self, HttpService, Response},
    tls::{Certificates, Challenges, HTTP_PATH},
};

/// What sends on to HTTPS.
pub struct Redirect {
    /// The host names that are sent on.
    pub certificates: Arc<Certificates>,
    /// Answers to an ACME authority.
    pub challenges: Arc<Challenges>,
    /// More host names that are sent on, in small letters: those for which certificates are still asked for.
    pub hosts: Vec<String>,
    /// The port of HTTPS as browsers see it.
    pub port: u16,
}

impl Redirect {
    /// The listener's service.
    pub fn service(self) -> HttpService {
        let redirect = Arc::new(self);
        stack::boxed(tower::service_fn(move |request| {
            let answer = redirect.answer(&request);
            async move { Ok::<_, Infallible>(answer) }
        }))
    }

    fn answer<B>(&self, request: &Request<B>) -> Response {
        if let Some(token) = request.uri().path().strip_prefix(HTTP_PATH) {
            return match self.challenges.authorisation(token) {
                Some(text) if matches!(*request.method(), Method::GET | Method::HEAD) => {
                    Response::new(Bytes::from(text).into())
                }
                Some(_) | None => stack::empty(StatusCode::NOT_FOUND),
            };
        }
        match self.location(request) {
            Some(location) => {
                // 308: a POST stays a POST.
                let mut response = stack::empty(StatusCode::PERMANENT_REDIRECT);
                response.headers_mut().insert(header::LOCATION, location);
                response
            }
            None => stack::text(StatusCode::MISDIRECTED_REQUEST, "There is no such host here.\n"),
        }
    }

    fn location<B>(&self, request: &Request<B>) -> Option<HeaderValue> {
        let named = request.headers().get(header::HOST)?.to_str().ok()?;
        let (host, port) = named.rsplit_once(':').unwrap_or((named, "80"));
        let host = host.trim_end_matches('.').to_ascii_lowercase();
        let known = self.hosts.contains(&host) || self.certificates.is_known(&host);
        if !known || !is_name(&host) || port.parse::<u16>().is_err() {
            return None;
        }
        let port = if self.port == 443 { String::new() } else { format!(":{}", self.port) };
        let path = request.uri().path_and_query().map_or("/", |path| path.as_str());
        let path = if path.starts_with('/') { path } else { "/" };
        HeaderValue::try_from(format!("https://{host}{port}{path}")).ok()
    }
}

/// Whether nothing but a name is in it: a wildcard certificate knows any label.
fn is_name(host: &str) -> bool {
    host.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'.' | b'_'))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{config::Config, metrics::Metrics};

    fn redirect(port: u16) -> Redirect {
        let certificates = Certificates::open(&Config::default(), Arc::new(Metrics::default())).unwrap();
        let (certificates, challenges) = (Arc::new(certificates), Arc::default());
        Redirect { certificates, challenges, hosts: vec!["stats.example.org".into()], port }
    }

    fn ask(redirect: &Redirect, uri: &str, host: Option<&str>) -> (u16, String) {
        let mut request = Request::get(uri);
        if let Some(host) = host {
            request = request.header("host", host);
        }
        let answer = redirect.answer(&request.body(()).unwrap());
        let location = answer.headers().get("location").map(|to| to.to_str().unwrap().to_owned());
        (answer.status().as_u16(), location.unwrap_or_default())
    }

    #[test]
    fn known_hosts_are_sent_on_and_others_nowhere() {
        let own = "stats.example.org";
        for (port, uri, host, status, location) in [
            (443, "/", Some(own), 308, "https://stats.example.org/"),
            (443, "/a?b=c", Some("Stats.Example.Org:80"), 308, "https://stats.example.org/a?b=c"),
            (8443, "/", Some("stats.example.org:8080"), 308, "https://stats.example.org:8443/"),
            (443, "//evil.example/", Some(own), 308, "https://stats.example.org//evil.example/"),
            (443, "http://evil.example/x", Some(own), 308, "https://stats.example.org/x"),
            (443, "/", Some("evil.example"), 421, ""),
            (443, "/", Some("stats.example.org.evil.example"), 421, ""),
            (443, "/", Some("evil.example/.stats.example.org"), 421, ""),
            (443, "/", Some("stats.example.org@evil.example"), 421, ""),
            (443, "/", Some("stats.example.org:80@evil.example"), 421, ""),
            (443, "/", Some("stats.example.org:x"), 421, ""),
            (443, "/", Some("[::1]"), 421, ""),
            (443, "/", Some(""), 421, ""),
            (443, "/", None, 421, ""),
        ] {
            let answer = ask(&redirect(port), uri, host);
            assert_eq!(answer, (status, location.to_owned()), "{uri} {host:?}");
        }
    }

    #[test]
    fn challenge_path_answers_the_tokens_of_orders_and_reads_no_file() {
        let redirect = redirect(443);
        let _answered = redirect.challenges.answer_token("token", "token.thumb".into()).unwrap();
        for (path, status) in [
            ("token", 200),
            ("other", 404),
            ("", 404),
            ("token/", 404),
            ("../token", 404),
            ("../../../../etc/passwd", 404),
            ("..%2f..%2fetc%2fpasswd", 404),
            ("%74oken", 404),
            ("token?x", 200),
        ] {
            let uri = format!("{HTTP_PATH}{path}");
            assert_eq!(ask(&redirect, &uri, Some("a.example")).0, status, "{path}");
        }
        let post = Request::post(format!("{HTTP_PATH}token")).body(()).unwrap();
        assert_eq!(redirect.answer(&post).status(), 404);
    }
}
