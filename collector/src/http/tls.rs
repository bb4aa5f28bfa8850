//! TLS without a proxy: handshakes, and which certificate a connection gets.
//!
//! **Promises.** A handshake has a time limit, and there are only so many at a time; further connections are closed. A
//! client that speaks no TLS is told so and closed. Connections go on when certificates change. Nothing is kept of a
//! connection: no session is resumed, because a ticket is a mark that the browser brings back. No early data, which
//! could be sent twice by others; TLS 1.2 and 1.3 only, without renegotiation (rustls has none).
//!
//! **Refuses.** A host name for which there is no certificate ends the handshake: who asks by address alone gets the first
//! certificate.
//!
//! **Proof**: `tls/tests.rs`, `tests/suite/tls.rs`.

use std::{
    io,
    sync::{Arc, atomic::Ordering},
    time::Duration,
};

use http::HeaderValue;
use rustls::{
    ServerConfig,
    crypto::CryptoProvider,
    server::{Acceptor, NoServerSessionStorage, ResolvesServerCert},
};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpStream,
    sync::Semaphore,
};
use tokio_rustls::{LazyConfigAcceptor, server::TlsStream};

use crate::{config, metrics::Metrics};

mod certificate;
mod certificates;
mod challenges;
#[cfg(test)]
mod tests;

pub use certificate::{Certificate, CertificateError};
pub use certificates::{Certificates, others_may_read};
pub use challenges::{Answered, Challenges, HTTP_PATH};

/// First byte of a handshake (RFC 8446, 5.1).
const HANDSHAKE: u8 = 22;
/// What HTTP over TLS is called in a handshake, best first.
const HTTP_PROTOCOLS: [&[u8]; 2] = [b"h2", b"http/1.1"];
/// What a client that speaks plain HTTP gets.
const PLAIN_ANSWER: &[u8] = b"HTTP/1.1 400 Bad Request\r\ncontent-type: text/plain; charset=utf-8\r\n\
    content-length: 37\r\nconnection: close\r\n\r\nThis port speaks TLS: use https://.\r\n";
/// How much of such a client's request is read, so that it reads the answer before the connection ends.
const PLAIN_BYTES_MAX: usize = 64 * 1024;

/// Turns connections into encrypted ones. Clones share everything.
#[derive(Clone)]
pub struct Tls {
    /// The certificates in use.
    pub certificates: Arc<Certificates>,
    /// Answers to an ACME authority.
    pub challenges: Arc<Challenges>,
    /// Value of `Strict-Transport-Security`.
    pub hsts: HeaderValue,
    config: Arc<ServerConfig>,
    handshakes: Arc<Semaphore>,
    handshake_timeout: Duration,
    metrics: Arc<Metrics>,
}

/// The one implementation of cryptography in this program.
pub fn provider() -> Arc<CryptoProvider> {
    Arc::new(rustls::crypto::ring::default_provider())
}

/// A server's settings besides its certificates.
fn server_config(
    certificates: Arc<dyn ResolvesServerCert>,
    protocols: &[&[u8]],
) -> Result<ServerConfig, rustls::Error> {
    let mut config = ServerConfig::builder_with_provider(provider())
        .with_safe_default_protocol_versions()?
        .with_no_client_auth()
        .with_cert_resolver(certificates);
    config.alpn_protocols = protocols.iter().map(|name| name.to_vec()).collect();
    config.session_storage = Arc::new(NoServerSessionStorage {});
    config.send_tls13_tickets = 0;
    Ok(config)
}

impl Tls {
    /// Reads the certificates that `config` names.
    ///
    /// # Errors
    /// When a file that it names cannot be used.
    pub fn open(config: &config::Config, metrics: Arc<Metrics>) -> Result<Self, CertificateError> {
        let certificates = Arc::new(Certificates::open(config, metrics.clone())?);
        let server = server_config(certificates.clone(), &HTTP_PROTOCOLS).map_err(CertificateError::Tls)?;
        let hsts = format!("max-age={}", config.tls.hsts.as_secs());
        Ok(Self {
            certificates,
            challenges: Arc::default(),
            hsts: HeaderValue::try_from(hsts).unwrap_or(HeaderValue::from_static("max-age=0")),
            config: Arc::new(server),
            handshakes: Arc::new(Semaphore::new(config.tls.handshakes_max)),
            handshake_timeout: config.tls.handshake_timeout.unsigned_abs(),
            metrics,
        })
    }

    /// The encrypted connection, if this becomes one.
    pub async fn accept(&self, stream: TcpStream) -> Option<TlsStream<TcpStream>> {
        let Ok(_place) = self.handshakes.try_acquire() else {
            self.metrics.tls_handshakes_refused.fetch_add(1, Ordering::Relaxed);
            return None;
        };
        let ended = match tokio::time::timeout(self.handshake_timeout, self.handshake(stream)).await {
            Ok(ended) => ended,
            Err(_elapsed) => Err(io::ErrorKind::TimedOut.into()),
        };
        match ended {
            Ok(Some(stream)) => {
                self.metrics.tls_handshakes.fetch_add(1, Ordering::Relaxed);
                Some(stream)
            }
            Ok(None) => None,
            Err(error) => {
                // Scanners and clients that have gone; the error names no address.
                tracing::trace!(%error, "a handshake failed");
                self.metrics.tls_handshakes_failed.fetch_add(1, Ordering::Relaxed);
                None
            }
        }
    }

    /// `None` where the connection had no other purpose than an ACME challenge.
    async fn handshake(&self, stream: TcpStream) -> io::Result<Option<TlsStream<TcpStream>>> {
        let mut first = [0];
        if stream.peek(&mut first).await? == 0 {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        if first[0] != HANDSHAKE {
            refuse_plain(stream).await?;
            return Err(io::Error::new(io::ErrorKind::InvalidData, "no TLS"));
        }
        let start = LazyConfigAcceptor::new(Acceptor::default(), stream).await?;
        let asked = start.client_hello();
        if challenges::is_asked(&asked) {
            // An unknown name: the connection is closed.
            let found = asked.server_name().and_then(|name| self.challenges.certificate(name));
            let config = found.ok_or_else(|| io::Error::from(io::ErrorKind::NotFound))?;
            start.into_stream(config).await?.shutdown().await?;
            return Ok(None);
        }
        start.into_stream(self.config.clone()).await.map(Some)
    }
}

/// Tells a client that speaks plain HTTP that it should not.
async fn refuse_plain(mut stream: TcpStream) -> io::Result<()> {
    stream.write_all(PLAIN_ANSWER).await?;
    stream.shutdown().await?;
    // What is left unread when a socket closes makes the kernel take the answer back.
    tokio::io::copy(&mut stream.take(PLAIN_BYTES_MAX as u64), &mut tokio::io::sink()).await?;
    Ok(())
}
