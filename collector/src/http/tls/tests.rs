//! Real handshakes with the real listener on loopback: who gets which certificate, and what attackers get.

use std::{
    fs,
    net::SocketAddr,
    path::{Path, PathBuf},
    time::Instant,
};

use http::Request;
use http_body_util::{BodyExt as _, Empty};
use hyper_util::rt::{TokioExecutor, TokioIo};
use rcgen::{CertificateParams, KeyPair};
use rustls::{
    ClientConfig, RootCertStore,
    pki_types::{CertificateDer, ServerName},
};
use tokio_rustls::{TlsConnector, client};
use tokio_util::sync::CancellationToken;

use super::*;
use crate::{
    config::{CertificateFiles, Config},
    http::{
        server::{self, Terms},
        stack::{self, HttpService},
    },
};

const PATIENCE: Duration = Duration::from_secs(30);

/// A certificate that signs itself, in a file with its key; what clients trust.
fn certificate(dir: &Path, name: &str, hosts: &[&str]) -> (CertificateFiles, CertificateDer<'static>) {
    let key = KeyPair::generate().unwrap();
    let hosts: Vec<String> = hosts.iter().map(|host| (*host).to_owned()).collect();
    let signed = CertificateParams::new(hosts).unwrap().self_signed(&key).unwrap();
    let (certificate, own) = (dir.join(format!("{name}.pem")), dir.join(format!("{name}.key")));
    fs::write(&certificate, signed.pem()).unwrap();
    fs::write(&own, key.serialize_pem()).unwrap();
    (CertificateFiles { certificate, key: own }, signed.der().clone())
}

/// A listener with two certificates: for a.example and b.example, and for whatever is in wild.example.
struct Server {
    address: SocketAddr,
    tls: Tls,
    metrics: Arc<Metrics>,
    first: CertificateDer<'static>,
    wild: CertificateDer<'static>,
    files: CertificateFiles,
    stop: CancellationToken,
    dir: tempfile::TempDir,
}

impl Drop for Server {
    fn drop(&mut self) {
        self.stop.cancel();
    }
}

impl Server {
    fn start(change: impl FnOnce(&mut Config)) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let (files, first) = certificate(dir.path(), "first", &["a.example", "B.example"]);
        let (others, wild) = certificate(dir.path(), "wild", &["*.wild.example"]);
        let mut config = Config::default();
        config.tls.certificate = Some(files.certificate.clone());
        config.tls.key = Some(files.key.clone());
        config.tls.more = vec![others];
        change(&mut config);
        let metrics = Arc::new(Metrics::default());
        let tls = Tls::open(&config, metrics.clone()).unwrap();
        let listener = server::listen_alone(([127, 0, 0, 1], 0).into()).unwrap();
        let address = listener.local_addr().unwrap();
        let stop = CancellationToken::new();
        let terms = Terms { limits: (&config.server).into(), tls: Some(tls.clone()) };
        let listener = tokio::net::TcpListener::from_std(listener).unwrap();
        tokio::spawn(server::serve(listener, echo(), terms, stop.clone()));
        Self { address, tls, metrics, first, wild, files, stop, dir }
    }

    /// A handshake as a client that trusts both certificates.
    async fn connect(
        &self,
        host: &'static str,
        protocols: &[&[u8]],
    ) -> io::Result<client::TlsStream<TcpStream>> {
        let stream = TcpStream::connect(self.address).await?;
        let name = ServerName::try_from(host).unwrap();
        let connector = TlsConnector::from(Arc::new(self.client(protocols)));
        tokio::time::timeout(PATIENCE, connector.connect(name, stream)).await.expect("an end")
    }

    fn client(&self, protocols: &[&[u8]]) -> ClientConfig {
        let mut roots = RootCertStore::empty();
        for certificate in [&self.first, &self.wild] {
            roots.add(certificate.clone()).unwrap();
        }
        let builder = ClientConfig::builder_with_provider(provider());
        let mut client = builder
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_root_certificates(roots)
            .with_no_client_auth();
        client.alpn_protocols = protocols.iter().map(|name| name.to_vec()).collect();
        client
    }

    async fn raw(&self) -> TcpStream {
        TcpStream::connect(self.address).await.unwrap()
    }

    fn count(&self, counter: impl Fn(&Metrics) -> &std::sync::atomic::AtomicU64) -> u64 {
        counter(&self.metrics).load(Ordering::Relaxed)
    }
}

/// Answers with the host that was asked for and the cookies that came along.
fn echo() -> HttpService {
    stack::boxed(tower::service_fn(async |request: Request<hyper::body::Incoming>| {
        let header = |name| {
            let values: Vec<_> =
                request.headers().get_all(name).iter().map(|v| v.to_str().unwrap()).collect();
            values.join("|")
        };
        let text = format!("{} {} {}", header("host"), request.uri(), header("cookie"));
        Ok(stack::text(http::StatusCode::OK, text))
    }))
}

async fn end_of(mut stream: impl tokio::io::AsyncRead + Unpin) -> String {
    let mut text = Vec::new();
    // A reset is an end, too.
    let _end = tokio::time::timeout(PATIENCE, stream.read_to_end(&mut text)).await.expect("an end");
    String::from_utf8_lossy(&text).into_owned()
}

async fn until(what: &str, mut condition: impl FnMut() -> bool) {
    let deadline = Instant::now() + PATIENCE;
    while !condition() {
        assert!(Instant::now() < deadline, "waited in vain for {what}");
        tokio::time::sleep(Duration::from_millis(2)).await;
    }
}

#[tokio::test]
async fn host_name_decides_the_certificate_and_an_unknown_one_gets_none() {
    let server = Server::start(|_| {});
    for (host, expected, why) in [
        ("a.example", Some(&server.first), "a name of the first"),
        ("b.example", Some(&server.first), "capital letters do not matter"),
        ("x.wild.example", Some(&server.wild), "a wildcard stands for one label"),
        ("y.x.wild.example", None, "and for no more"),
        ("wild.example", None, "nor for none"),
        ("c.example", None, "unknown"),
    ] {
        let found = server.connect(host, &[]).await;
        // Ended by the server, not by the client for a name that does not fit.
        let told = found.as_ref().err().map(ToString::to_string);
        assert!(told.is_none_or(|told| told.contains("fatal alert")), "{host}: {why}");
        let found = found.ok();
        let found = found.as_ref().and_then(|stream| stream.get_ref().1.peer_certificates()?.first());
        assert_eq!(found, expected, "{host}: {why}");
    }
    // Who asks by address names no host: the first certificate, which does not fit.
    let error = server.connect("127.0.0.1", &[]).await.unwrap_err().to_string();
    assert!(error.contains("not valid for name"), "{error}");
    assert_eq!(server.count(|m| &m.tls_handshakes), 3);
    until("failures", || server.count(|m| &m.tls_handshakes_failed) == 4).await;
}

#[tokio::test]
async fn both_versions_of_http_are_answered_with_the_same_service_and_hsts() {
    let server = Server::start(|config| config.tls.hsts = jiff::SignedDuration::from_secs(77));
    for (protocols, version) in [
        (&[b"h2".as_slice(), b"http/1.1"][..], http::Version::HTTP_2),
        (&[b"http/1.1"], http::Version::HTTP_11),
        (&[], http::Version::HTTP_11),
    ] {
        let stream = server.connect("a.example", protocols).await.unwrap();
        let request = Request::get("https://a.example/x?y=z").header("cookie", "a=1").header("cookie", "b=2");
        let request = request.body(Empty::<bytes::Bytes>::new()).unwrap();
        let answer = if version == http::Version::HTTP_2 {
            assert_eq!(stream.get_ref().1.alpn_protocol(), Some(b"h2".as_slice()));
            let (mut sender, connection) =
                hyper::client::conn::http2::handshake(TokioExecutor::new(), TokioIo::new(stream))
                    .await
                    .unwrap();
            tokio::spawn(connection);
            sender.send_request(request).await.unwrap()
        } else {
            let (mut sender, connection) =
                hyper::client::conn::http1::handshake(TokioIo::new(stream)).await.unwrap();
            tokio::spawn(connection);
            let mut request = request;
            request.headers_mut().insert("host", "a.example".parse().unwrap());
            *request.uri_mut() = "/x?y=z".parse().unwrap();
            request.headers_mut().insert("cookie", "a=1; b=2".parse().unwrap());
            sender.send_request(request).await.unwrap()
        };
        assert_eq!(answer.version(), version);
        assert_eq!(answer.headers()["strict-transport-security"], "max-age=77");
        let text = answer.into_body().collect().await.unwrap().to_bytes();
        assert_eq!(text, "a.example /x?y=z a=1; b=2", "{version:?}");
    }
    let error = server.connect("a.example", &[b"http/0.9"]).await.unwrap_err().to_string();
    assert!(error.contains("NoApplicationProtocol"), "{error}");
}

#[tokio::test]
async fn changed_files_are_used_by_new_connections_and_those_that_run_go_on() {
    let server = Server::start(|_| {});
    let old = server.connect("a.example", &[]).await.unwrap();
    let (new, certificate) = certificate(server.dir.path(), "new", &["a.example"]);
    // A key that does not fit: as between the two writes of somebody who renews.
    fs::copy(&new.key, &server.files.key).unwrap();
    server.tls.certificates.reload();
    assert_eq!(server.count(|m| &m.certificate_failures), 1);
    let faults = server.tls.certificates.faults(0);
    assert!(
        faults.len() == 1 && faults[0].contains("first.key") && faults[0].contains("is used"),
        "{faults:?}"
    );
    assert!(server.connect("b.example", &[]).await.is_ok(), "the one before it is used");
    server.tls.certificates.reload();
    assert_eq!(server.count(|m| &m.certificate_failures), 1, "the same files are not read again");
    for broken in ["", "no PEM", "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n"] {
        fs::write(&server.files.certificate, broken).unwrap();
        server.tls.certificates.reload();
        assert_eq!(server.tls.certificates.faults(0).len(), 1, "{broken:?}");
        assert!(server.connect("b.example", &[]).await.is_ok(), "{broken:?}");
    }
    fs::copy(&new.certificate, &server.files.certificate).unwrap();
    server.tls.certificates.reload();
    assert_eq!(server.tls.certificates.faults(0), Vec::<String>::new());
    assert!(server.connect("b.example", &[]).await.is_err(), "the new one has no such name");
    let mut roots = RootCertStore::empty();
    roots.add(certificate.clone()).unwrap();
    let client = ClientConfig::builder_with_provider(provider())
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_root_certificates(roots)
        .with_no_client_auth();
    let connector = TlsConnector::from(Arc::new(client));
    connector.connect("a.example".try_into().unwrap(), server.raw().await).await.unwrap();
    // The old connection is still answered.
    let (mut sender, connection) = hyper::client::conn::http1::handshake(TokioIo::new(old)).await.unwrap();
    tokio::spawn(connection);
    let request = Request::get("/").header("host", "a.example").body(Empty::<bytes::Bytes>::new()).unwrap();
    assert_eq!(sender.send_request(request).await.unwrap().status(), 200);
}

#[tokio::test]
async fn handshakes_at_the_limit_are_taken_and_one_more_is_closed() {
    let server = Server::start(|config| config.tls.handshakes_max = 2);
    let mut slow = Vec::new();
    for _ in 0..2 {
        slow.push(server.raw().await);
    }
    let open = server.tls.handshakes.clone();
    until("both places to be taken", || open.available_permits() == 0).await;
    assert_eq!(end_of(server.raw().await).await, "");
    assert_eq!(server.count(|m| &m.tls_handshakes_refused), 1);
    drop(slow.pop());
    until("a place", || open.available_permits() == 1).await;
    server.connect("a.example", &[]).await.unwrap();
    // Whose handshake is over takes no place.
    until("a place", || open.available_permits() == 1).await;
}

#[tokio::test]
async fn handshake_that_takes_too_long_is_cut_wherever_it_stops() {
    let server = Server::start(|config| {
        config.tls.handshake_timeout = jiff::SignedDuration::from_millis(100);
    });
    // Nothing, the first byte, and a record of which the rest does not come.
    for sent in [&b""[..], b"\x16", b"\x16\x03\x01\x01\x00\x01\x00"] {
        let mut stream = server.raw().await;
        stream.write_all(sent).await.unwrap();
        assert_eq!(end_of(stream).await, "", "{sent:?}");
    }
    assert_eq!(server.count(|m| &m.tls_handshakes_failed), 3);
}

#[tokio::test]
async fn client_that_speaks_no_tls_is_told_so_and_closed() {
    let server = Server::start(|_| {});
    let mut stream = server.raw().await;
    stream.write_all(b"GET / HTTP/1.1\r\nhost: a.example\r\n\r\n").await.unwrap();
    let answer = end_of(stream).await;
    assert!(answer.starts_with("HTTP/1.1 400 ") && answer.ends_with("use https://.\r\n"), "{answer}");
    let (head, body) = answer.split_once("\r\n\r\n").unwrap();
    assert!(head.contains(&format!("content-length: {}", body.len())), "{answer}");
}

#[tokio::test]
async fn hello_that_is_huge_or_nonsense_ends_the_connection_at_once() {
    let server = Server::start(|_| {});
    // A handshake message that claims 16 MB, in records of the largest size, for as long as anybody takes them.
    let record = |body: &[u8]| [&[0x16, 3, 1][..], &(body.len() as u16).to_be_bytes(), body].concat();
    let first = record(&[&[1, 0xff, 0xff, 0xff][..], &[0; 16_000]].concat());
    let more = record(&[0; 16_384]);
    let mut stream = server.raw().await;
    let mut sent = 0;
    let written = async {
        stream.write_all(&first).await?;
        while sent < 64 << 20 {
            stream.write_all(&more).await?;
            sent += more.len();
        }
        Ok::<_, io::Error>(())
    };
    assert!(
        tokio::time::timeout(PATIENCE, written).await.expect("an end").is_err(),
        "{sent} bytes were taken"
    );
    // Records that are none, a server's hello, an empty record, one that is too long.
    for nonsense in [
        record(&[2, 0, 0, 2, 3, 3]),
        record(&[]),
        [&[0x16, 3, 1, 0xff, 0xff][..], &[0; 70_000]].concat(),
        record(&[1, 0, 0, 1, 0]),
    ] {
        let mut stream = server.raw().await;
        // It may be closed before all is sent.
        let _sent = stream.write_all(&nonsense).await;
        let _closed = stream.shutdown().await;
        end_of(stream).await;
    }
    until("all to be counted", || server.count(|m| &m.tls_handshakes_failed) == 5).await;
    assert!(server.connect("a.example", &[]).await.is_ok());
}

#[tokio::test]
async fn no_connection_is_resumed() {
    let server = Server::start(|_| {});
    let connector = TlsConnector::from(Arc::new(server.client(&[b"http/1.1"])));
    for _ in 0..2 {
        let name = ServerName::try_from("a.example").unwrap();
        let mut stream = connector.connect(name, server.raw().await).await.unwrap();
        stream.write_all(b"GET / HTTP/1.1\r\nhost: a.example\r\nconnection: close\r\n\r\n").await.unwrap();
        let mut answer = Vec::new();
        stream.read_to_end(&mut answer).await.unwrap();
        let connection = stream.get_ref().1;
        assert_eq!(connection.handshake_kind(), Some(rustls::HandshakeKind::Full));
        assert_eq!(connection.tls13_tickets_received(), 0, "a ticket is a mark that the browser brings back");
    }
}

#[tokio::test]
async fn http2_connection_on_which_nothing_is_asked_ends() {
    let server = Server::start(|config| {
        config.server.header_timeout = jiff::SignedDuration::from_millis(100);
    });
    // One that never begins, and one that has nothing more to ask.
    let silent = server.connect("a.example", &[b"h2"]).await.unwrap();
    assert_eq!(silent.get_ref().1.alpn_protocol(), Some(b"h2".as_slice()));
    end_of(silent).await;
    let stream = server.connect("a.example", &[b"h2"]).await.unwrap();
    let (mut sender, connection) =
        hyper::client::conn::http2::handshake(TokioExecutor::new(), TokioIo::new(stream)).await.unwrap();
    let connection = tokio::spawn(connection);
    let request = Request::get("https://a.example/").body(Empty::<bytes::Bytes>::new()).unwrap();
    sender.send_request(request).await.unwrap();
    tokio::time::timeout(PATIENCE, connection).await.expect("an end").unwrap().unwrap();
}

#[tokio::test]
async fn challenge_is_answered_for_its_host_while_it_lasts_and_for_no_other() {
    let server = Server::start(|_| {});
    let (files, own) = certificate(server.dir.path(), "challenge", &["new.example"]);
    let challenge = Arc::into_inner(Certificate::read(&files).unwrap().key).unwrap();
    let answered = server.tls.challenges.answer_host("new.example", challenge).unwrap();
    let ask = async |host: &'static str, protocols: &[&[u8]]| {
        let mut roots = RootCertStore::empty();
        roots.add(own.clone()).unwrap();
        let mut client = ClientConfig::builder_with_provider(provider())
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_root_certificates(roots)
            .with_no_client_auth();
        client.alpn_protocols = protocols.iter().map(|name| name.to_vec()).collect();
        let connector = TlsConnector::from(Arc::new(client));
        connector.connect(host.try_into().unwrap(), server.raw().await).await
    };
    let mut stream = ask("new.example", &[b"acme-tls/1"]).await.unwrap();
    assert_eq!(stream.get_ref().1.alpn_protocol(), Some(b"acme-tls/1".as_slice()));
    assert_eq!(stream.read(&mut [0]).await.unwrap(), 0, "closed: it has no other purpose");
    assert!(ask("a.example", &[b"acme-tls/1"]).await.is_err(), "no challenge is under way");
    assert!(ask("new.example", &[b"acme-tls/1", b"h2"]).await.is_err(), "not for browsers");
    assert!(ask("new.example", &[b"h2"]).await.is_err(), "not for browsers");
    drop(answered);
    assert!(ask("new.example", &[b"acme-tls/1"]).await.is_err(), "it is over");
}

#[test]
fn challenges_at_the_limit_are_answered_and_one_more_is_refused() {
    let challenges = Arc::new(Challenges::default());
    let answer = |n: usize| challenges.answer_token(&format!("t{n}"), format!("t{n}.x"));
    let mut answered: Vec<_> = (0..challenges::CHALLENGES_MAX).map(answer).collect();
    assert!(answered.iter().all(Option::is_some));
    assert!(answer(challenges::CHALLENGES_MAX).is_none());
    assert_eq!(challenges.authorisation("t0").as_deref(), Some("t0.x"));
    answered.remove(0);
    assert_eq!(challenges.authorisation("t0"), None);
    assert!(answer(challenges::CHALLENGES_MAX).is_some());
}

#[test]
fn file_at_the_limit_is_read_and_one_byte_more_is_refused() {
    let dir = tempfile::tempdir().unwrap();
    let (files, _) = certificate(dir.path(), "large", &["a.example"]);
    let text = fs::read_to_string(&files.certificate).unwrap();
    let padded = |bytes: u64| format!("{text}{}", "#".repeat(bytes as usize - text.len()));
    fs::write(&files.certificate, padded(certificate::FILE_BYTES_MAX)).unwrap();
    assert!(Certificate::read(&files).is_ok());
    fs::write(&files.certificate, padded(certificate::FILE_BYTES_MAX + 1)).unwrap();
    assert!(matches!(Certificate::read(&files), Err(CertificateError::TooLarge(_))));
}

#[test]
fn what_is_said_of_files_has_nothing_of_them() {
    let dir = tempfile::tempdir().unwrap();
    let (files, _) = certificate(dir.path(), "own", &["a.example"]);
    let (other, _) = certificate(dir.path(), "other", &["a.example"]);
    let key = fs::read_to_string(&files.key).unwrap();
    let line = key.lines().nth(1).unwrap();
    let broken = dir.path().join("broken.key");
    fs::write(&broken, key.replacen('M', "!", 1)).unwrap();
    let read = |certificate: &PathBuf, key: &PathBuf| {
        let files = CertificateFiles { certificate: certificate.clone(), key: key.clone() };
        let error = Certificate::read(&files).unwrap_err();
        format!("{error} {error:?}")
    };
    for (certificate, key, part) in [
        (&files.certificate, &other.key, "own.pem"),
        (&files.key, &files.certificate, "own.key"),
        (&files.certificate, &broken, "broken.key"),
        (&files.certificate, &files.certificate, "no private key"),
        (&dir.path().join("missing"), &files.key, "missing"),
    ] {
        let text = read(certificate, key);
        assert!(text.contains(part), "{text}");
        assert!(!text.contains(&line[..16]) && !text.contains(&line[line.len() - 16..]), "{text}");
    }
    let whole = Certificate::read(&files).unwrap();
    assert!(!format!("{whole:?}").contains(&line[..16]));
}
