//! Hands letters to the mail server, and says what became of them. What the server answers may hold the address of who was
//! written to, so only its code is passed on.

use std::time::Duration;

use lettre::{
    AsyncSmtpTransport, AsyncTransport, Message, Tokio1Executor,
    transport::smtp::{
        self,
        authentication::Credentials,
        client::{Certificate, Tls, TlsParameters},
        extension::ClientId,
    },
};
use sotto_store::subscription::State;

use super::MailError;

/// How long the mail server may take for a step.
const TIMEOUT: Duration = Duration::from_secs(20);

/// How the connection to the mail server is encrypted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Security {
    /// Plain at first; nothing is sent before it is encrypted.
    Starttls,
    /// From the first byte.
    Implicit,
    /// Never.
    None,
}

/// The mail server.
#[derive(Clone)]
pub struct MailServer {
    /// Its host name.
    pub host: String,
    /// Its port.
    pub port: u16,
    /// How the connection is encrypted.
    pub security: Security,
    /// A certificate, as PEM, that its own may be signed by.
    pub authority: Option<Vec<u8>>,
    /// User name and password.
    pub credentials: Option<(String, String)>,
    /// The address from which mail comes.
    pub from: String,
}

/// Connections to the mail server.
pub(super) struct Post(AsyncSmtpTransport<Tokio1Executor>);

impl Post {
    /// Connects when the first letter is sent. This machine calls itself as `public_url` does.
    pub(super) fn new(server: &MailServer, public_url: &str) -> Result<Self, MailError> {
        let url = url::Url::parse(public_url).ok();
        let hello = url.as_ref().and_then(url::Url::host_str).unwrap_or("localhost");
        let host = server.host.trim_start_matches('[').trim_end_matches(']');
        let encrypted = || {
            let mut parameters = TlsParameters::builder(host.to_owned());
            if let Some(pem) = &server.authority {
                parameters = parameters.add_root_certificate(Certificate::from_pem(pem)?);
            }
            parameters.build()
        };
        let tls = match server.security {
            Security::Starttls => Tls::Required(encrypted().map_err(|_| MailError::Certificate)?),
            Security::Implicit => Tls::Wrapper(encrypted().map_err(|_| MailError::Certificate)?),
            Security::None => Tls::None,
        };
        let mut builder = AsyncSmtpTransport::<Tokio1Executor>::builder_dangerous(host)
            .port(server.port)
            .tls(tls)
            .hello_name(ClientId::Domain(hello.to_owned()))
            .timeout(Some(TIMEOUT));
        if let Some((user, password)) = &server.credentials {
            builder = builder.credentials(Credentials::new(user.clone(), password.clone()));
        }
        Ok(Self(builder.build()))
    }

    /// Whether the server takes letters from us. What fails here has sent nothing.
    pub(super) async fn ready(&self) -> Result<(), MailError> {
        match self.0.test_connection().await {
            Ok(true) => Ok(()),
            Ok(false) => Err(MailError::Server("it does not answer".to_owned())),
            Err(error) => Err(MailError::Server(what(&error))),
        }
    }

    /// Sends a letter. Whatever the server has not refused may have been sent.
    pub(super) async fn send(&self, letter: Message) -> (State, String) {
        match self.0.send(letter).await {
            Ok(_) => (State::Sent, String::new()),
            Err(error) if error.is_transient() => (State::Deferred, what(&error)),
            Err(error) if error.is_permanent() => (State::Refused, what(&error)),
            Err(error) => (State::Begun, what(&error)),
        }
    }
}

/// What went wrong, without what the server says in words.
fn what(error: &smtp::Error) -> String {
    if let Some(code) = error.status() {
        return format!("it answers {code}");
    }
    let kinds = [
        (error.is_timeout(), "it does not answer in time"),
        (error.is_tls(), "the connection cannot be encrypted"),
        (error.is_response(), "its answer is not understood"),
        (error.is_client(), "it does not offer what is configured"),
    ];
    let known = kinds.into_iter().find(|(is, _)| *is).map(|(_, text)| text);
    known.unwrap_or("the connection cannot be made or broke").to_owned()
}
