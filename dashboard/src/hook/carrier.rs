//! Carries a message to the server of a webhook: one request, with nothing of ours but the message.
//!
//! No redirect is followed, no proxy is asked, and of the answer only its status is read: its body may be endless or slow
//! without costing anything.

use std::time::Duration;

use sotto_store::subscription::State;
use ureq::{
    Agent,
    tls::{RootCerts, TlsConfig},
    unversioned::{
        resolver::{DefaultResolver, Resolver},
        transport::DefaultConnector,
    },
};

use super::{
    address::{Checked, Reach, Refusal},
    sign::signature,
};

/// Time limit for one message, with the look-up of the name.
pub const TIMEOUT: Duration = Duration::from_secs(10);
/// The longest head of an answer, in bytes.
pub const HEAD_BYTES_MAX: usize = 16 << 10;

/// One message.
#[derive(Debug, Clone, Copy)]
pub struct Message<'a> {
    /// What it is known by; each attempt has the same.
    pub id: &'a str,
    /// When it is sent, in seconds since 1970-01-01 UTC.
    pub time_s: i64,
    /// What it says, in JSON.
    pub body: &'a str,
}

/// What became of a message.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Answer {
    /// Whether it was accepted, or may be sent again.
    pub state: State,
    /// The status of the answer, 0 where there was none.
    pub code: u16,
    /// Why it was not accepted, without the address.
    pub why: &'static str,
}

/// Sends a message; it takes at most [`TIMEOUT`] and blocks.
pub fn send(reach: Reach, url: &str, secret: &[u8; 32], message: Message<'_>) -> Answer {
    carry(DefaultResolver::default(), (reach, TIMEOUT), url, secret, message)
}

fn carry(
    names: impl Resolver,
    (reach, timeout): (Reach, Duration),
    url: &str,
    secret: &[u8; 32],
    message: Message<'_>,
) -> Answer {
    let refused = |why| Answer { state: State::Refused, code: 0, why };
    // The rules may have changed since it was typed.
    let Ok(url) = reach.check(url) else { return refused("its URL is refused") };
    let config = Agent::config_builder()
        .tls_config(TlsConfig::builder().root_certs(RootCerts::WebPki).build())
        .https_only(reach == Reach::Public)
        .http_status_as_error(false)
        .proxy(None)
        .max_redirects(0)
        .max_redirects_will_error(false)
        .max_response_header_size(HEAD_BYTES_MAX)
        .max_idle_connections(0)
        .user_agent("Sotto")
        .timeout_global(Some(timeout))
        .build();
    let agent = Agent::with_parts(config, DefaultConnector::default(), Checked { names, reach });
    let sent = agent
        .post(url.as_str())
        .header("content-type", "application/json")
        .header("webhook-id", message.id)
        .header("webhook-timestamp", message.time_s.to_string())
        .header("webhook-signature", signature(secret, message.id, message.time_s, message.body))
        .send(message.body);
    match sent {
        Ok(answer) => told(answer.status().as_u16()),
        Err(ureq::Error::Other(error)) if error.is::<Refusal>() => refused("its address is not public"),
        Err(ureq::Error::LargeResponseHeader(..)) => refused("the head of the answer is too large"),
        Err(ureq::Error::Timeout(_)) => deferred(0, "it took too long"),
        Err(_) => deferred(0, "it cannot be reached"),
    }
}

const fn deferred(code: u16, why: &'static str) -> Answer {
    Answer { state: State::Deferred, code, why }
}

/// What a status says. What may be otherwise later is tried again.
const fn told(code: u16) -> Answer {
    match code {
        200..=299 => Answer { state: State::Sent, code, why: "" },
        408 | 425 | 429 | 500..=599 => deferred(code, "its server refused for now"),
        300..=399 => Answer { state: State::Refused, code, why: "its server redirects" },
        _ => Answer { state: State::Refused, code, why: "its server refused" },
    }
}

#[cfg(test)]
mod tests;
