//! How the load generator speaks to a server: plain, or over TLS with either version of HTTP.

use std::{io, net::SocketAddr, sync::Arc};

use bytes::Bytes;
use http_body_util::{BodyExt as _, Full};
use hyper::{Request, client::conn::http2::SendRequest, header::HeaderMap};
use hyper_util::rt::{TokioExecutor, TokioIo};
use rustls::{
    ClientConfig, RootCertStore,
    pki_types::{CertificateDer, ServerName},
};
use tokio::{
    io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt},
    net::TcpStream,
};
use tokio_rustls::TlsConnector;

/// What is spoken on a connection.
#[derive(Debug, Clone, Default)]
pub enum Speech {
    /// HTTP/1.1.
    #[default]
    Plain,
    /// HTTP/1.1 over TLS.
    Tls(Arc<ClientConfig>),
    /// HTTP/2 over TLS.
    Http2(Arc<ClientConfig>),
}

/// The name that the generator asks for.
pub const HOST: &str = "stats.example";

impl Speech {
    /// Settings that trust one certificate.
    ///
    /// # Panics
    /// When it is none.
    pub fn trusting(certificate: CertificateDer<'static>, http2: bool) -> Self {
        let mut roots = RootCertStore::empty();
        roots.add(certificate).expect("a certificate");
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let mut config = ClientConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .expect("the provider has them")
            .with_root_certificates(roots)
            .with_no_client_auth();
        config.alpn_protocols = vec![if http2 { b"h2".to_vec() } else { b"http/1.1".to_vec() }];
        if http2 { Self::Http2(Arc::new(config)) } else { Self::Tls(Arc::new(config)) }
    }
}

trait Stream: AsyncRead + AsyncWrite + Unpin + Send {}

impl<S: AsyncRead + AsyncWrite + Unpin + Send> Stream for S {}

/// An open connection.
pub(crate) struct Wire(Kind);

enum Kind {
    Http1(Box<dyn Stream>),
    Http2(SendRequest<Full<Bytes>>),
}

impl Wire {
    pub(crate) async fn open(address: SocketAddr, speech: &Speech) -> io::Result<Self> {
        let stream = TcpStream::connect(address).await?;
        stream.set_nodelay(true)?;
        let name = || ServerName::try_from(HOST).map_err(io::Error::other);
        Ok(Self(match speech {
            Speech::Plain => Kind::Http1(Box::new(stream)),
            Speech::Tls(config) => {
                Kind::Http1(Box::new(TlsConnector::from(config.clone()).connect(name()?, stream).await?))
            }
            Speech::Http2(config) => {
                let stream = TlsConnector::from(config.clone()).connect(name()?, stream).await?;
                let begun = hyper::client::conn::http2::handshake(TokioExecutor::new(), TokioIo::new(stream));
                let (sender, connection) = begun.await.map_err(io::Error::other)?;
                tokio::spawn(connection);
                Kind::Http2(sender)
            }
        }))
    }

    /// Sends a request as it is on the wire of HTTP/1.1, and reads the answer. Its status, and whether the connection can be
    /// used again.
    pub(crate) async fn send(&mut self, bytes: &[u8], buffer: &mut [u8]) -> io::Result<(u16, bool)> {
        match &mut self.0 {
            Kind::Http1(stream) => send_http1(stream, bytes, buffer).await,
            Kind::Http2(sender) => {
                let request = http2(bytes).ok_or(io::ErrorKind::InvalidInput)?;
                let answer = sender.send_request(request).await.map_err(io::Error::other)?;
                let status = answer.status().as_u16();
                answer.into_body().collect().await.map_err(io::Error::other)?;
                Ok((status, true))
            }
        }
    }
}

async fn send_http1(
    stream: &mut Box<dyn Stream>,
    bytes: &[u8],
    buffer: &mut [u8],
) -> io::Result<(u16, bool)> {
    stream.write_all(bytes).await?;
    stream.flush().await?;
    let mut filled = 0;
    loop {
        let read = stream.read(&mut buffer[filled..]).await?;
        if read == 0 {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        filled += read;
        // Neither server sends a body with 204; other responses are short, and their connection is not
        // reused.
        if buffer[..filled].ends_with(b"\r\n\r\n")
            || !buffer.starts_with(b"HTTP/1.1 204")
            || filled == buffer.len()
        {
            break;
        }
    }
    let status = std::str::from_utf8(&buffer[9..12]).ok().and_then(|s| s.parse().ok());
    status.map(|status| (status, status == 204)).ok_or_else(|| io::ErrorKind::InvalidData.into())
}

/// The same request for HTTP/2.
fn http2(bytes: &[u8]) -> Option<Request<Full<Bytes>>> {
    let text = std::str::from_utf8(bytes).ok()?;
    let (head, body) = text.split_once("\r\n\r\n")?;
    let mut lines = head.lines();
    let path = lines.next()?.split(' ').nth(1)?;
    let mut headers = HeaderMap::new();
    for (name, value) in lines.filter_map(|line| line.split_once(": ")) {
        if !["host", "connection", "content-length"].iter().any(|own| name.eq_ignore_ascii_case(own)) {
            let name: hyper::header::HeaderName = name.parse().ok()?;
            headers.append(name, value.parse().ok()?);
        }
    }
    let request = Request::post(format!("https://{HOST}{path}"));
    let mut request = request.body(Full::from(Bytes::copy_from_slice(body.as_bytes()))).ok()?;
    *request.headers_mut() = headers;
    Some(request)
}
