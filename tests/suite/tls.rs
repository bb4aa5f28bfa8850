//! The real program with TLS of its own: hits, certificates that change, and what supervisors are told.

use std::{
    fs,
    io::{Read as _, Write as _},
    net::TcpStream,
    os::unix::fs::PermissionsExt as _,
    path::{Path, PathBuf},
    process::{Command, Stdio},
    sync::Arc,
};

use rcgen::{CertificateParams, KeyPair};
use rustls::{
    ClientConfig, ClientConnection, RootCertStore, StreamOwned,
    pki_types::{CertificateDer, ServerName, pem::PemObject as _},
};
use serde_json::Value;
use sotto_tests::{PERSON, Sotto, free_port, request, wait_for};

/// A certificate that signs itself, and its key, in files.
pub struct Own {
    /// The certificate.
    pub certificate: PathBuf,
    /// The key.
    pub key: PathBuf,
}

impl Own {
    /// Writes a new one for these hosts.
    pub fn new(dir: &Path, name: &str, hosts: &[&str]) -> Self {
        let own = Self { certificate: dir.join(format!("{name}.pem")), key: dir.join(format!("{name}.key")) };
        let key = KeyPair::generate().unwrap();
        let hosts: Vec<String> = hosts.iter().map(|host| (*host).to_owned()).collect();
        let signed = CertificateParams::new(hosts).unwrap().self_signed(&key).unwrap();
        fs::write(&own.certificate, signed.pem()).unwrap();
        fs::write(&own.key, key.serialize_pem()).unwrap();
        fs::set_permissions(&own.key, fs::Permissions::from_mode(0o600)).unwrap();
        own
    }

    /// `[tls]` with it, on a port where it is also the public URL.
    fn config(&self, port: u16, http: u16) -> String {
        format!(
            "listen = \"127.0.0.1:{port}\"\nadmin_listen = \"127.0.0.1:0\"\npublic_url = \"https://127.0.0.1:{port}\"\n\
             [ship]\ninterval = \"50ms\"\n[tls]\ncertificate = \"{}\"\nkey = \"{}\"\nhttp_listen = \"127.0.0.1:{http}\"\n\
             reload_interval = \"100ms\"\n",
            self.certificate.display(),
            self.key.display()
        )
    }
}

/// A client that trusts what a file holds.
pub struct Https<'a> {
    /// Where.
    pub port: u16,
    /// Whom.
    pub host: &'static str,
    /// Whom it trusts.
    pub roots: &'a Path,
}

impl Https<'_> {
    /// An encrypted connection.
    fn connect(&self) -> Result<StreamOwned<ClientConnection, TcpStream>, String> {
        let mut roots = RootCertStore::empty();
        for certificate in CertificateDer::pem_file_iter(self.roots).unwrap() {
            roots.add(certificate.unwrap()).unwrap();
        }
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let config = ClientConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_root_certificates(roots)
            .with_no_client_auth();
        let name = ServerName::try_from(self.host).unwrap();
        let connection = ClientConnection::new(Arc::new(config), name).unwrap();
        let stream = TcpStream::connect(("127.0.0.1", self.port)).map_err(|e| e.to_string())?;
        let mut stream = StreamOwned::new(connection, stream);
        while stream.conn.is_handshaking() {
            stream.conn.complete_io(&mut stream.sock).map_err(|e| e.to_string())?;
        }
        Ok(stream)
    }

    /// The status that a page is answered with.
    pub fn get(&self, path: &str) -> Result<u16, String> {
        get_on(&mut self.connect()?, self.host, path)
    }
}

/// The status of one more request on a connection; its body is not read.
fn get_on(
    stream: &mut StreamOwned<ClientConnection, TcpStream>,
    host: &str,
    path: &str,
) -> Result<u16, String> {
    write!(stream, "HEAD {path} HTTP/1.1\r\nhost: {host}\r\n\r\n").map_err(|e| e.to_string())?;
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        let mut byte = [0];
        stream.read_exact(&mut byte).map_err(|e| e.to_string())?;
        head.extend(byte);
    }
    let head = String::from_utf8(head).unwrap();
    head[9..12].parse().map_err(|_| head)
}

/// The value of a metric.
pub fn metric(sotto: &Sotto, name: &str) -> f64 {
    let text = request("GET", &format!("{}/metrics", sotto.admin), &[], b"").text();
    let line = text.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(' ')?.parse().ok());
    line.unwrap_or_else(|| panic!("no metric {name}"))
}

/// What `/readyz` says of certificates.
pub fn faults(sotto: &Sotto) -> String {
    let ready = request("GET", &format!("{}/readyz", sotto.admin), &[], b"");
    assert_eq!(ready.status, 200, "hits are kept all the while");
    ready.json()["certificates"].as_str().unwrap().to_owned()
}

/// What curl says; it speaks HTTP/2 where it can.
fn curl(arguments: &[&str]) -> String {
    let output =
        Command::new("curl").args(["--silent", "--show-error", "--insecure"]).args(arguments).output();
    let output = output.unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap()
}

#[test]
fn visitors_over_tls_are_those_of_plain_connections() {
    let dir = tempfile::tempdir().unwrap();
    let own = Own::new(dir.path(), "own", &["stats.example.org"]);
    let (port, http) = (free_port(), free_port());
    let mut sotto = Sotto::start_with_all(&own.config(port, http));
    assert_eq!(sotto.url, format!("https://127.0.0.1:{port}"));
    let site = sotto.add_site("a.example", &[]);
    let hit =
        |n: u32| format!(r#"{{"v":1,"s":"{site}","k":"p","i":"v{n}","q":0,"u":"https://a.example/{n}"}}"#);
    // One visitor over both versions of HTTP, and another, as a trusted proxy says: the peer is what it is without TLS.
    for (n, address, version) in
        [(1, "192.0.2.1", "--http1.1"), (2, "192.0.2.1", "--http2"), (3, "192.0.2.2", "--http2")]
    {
        let told = curl(&[
            version,
            "--data",
            &hit(n),
            "--user-agent",
            PERSON,
            "--header",
            &format!("x-forwarded-for: {address}"),
            "--write-out",
            "%{http_code} %{http_version}",
            &format!("{}/e", sotto.url),
        ]);
        assert_eq!(told, format!("204 {}", if version == "--http2" { "2" } else { "1.1" }));
    }
    sotto.wait_for_pageviews(&site, 3);
    assert_eq!(sotto.report(&site, &["--metrics", "visitors"])[0]["visitors"].as_f64(), Some(2.0));
    assert!(metric(&sotto, "sotto_tls_handshakes_total") >= 3.0);
    // Pages, with what browsers are told.
    let head = curl(&["--head", "--http2", &format!("{}/sign-in", sotto.url)]).to_ascii_lowercase();
    assert!(
        head.starts_with("http/2 ") && head.contains("strict-transport-security: max-age=86400\r\n"),
        "{head}"
    );
    // The plain listener sends there the hosts that are known, and has no HSTS, which plain HTTP must not have.
    let url = format!("http://127.0.0.1:{http}/s/a?b=c");
    let answer = request("GET", &url, &[("host", "stats.example.org")], b"");
    let to = format!("https://stats.example.org:{port}/s/a?b=c");
    assert_eq!((answer.status, answer.header("location")), (308, Some(to.as_str())));
    assert_eq!(answer.header("strict-transport-security"), None);
    assert_eq!(request("GET", &url, &[("host", "evil.example")], b"").status, 421);
    sotto.stop();
}

#[test]
fn changed_certificate_is_used_without_a_restart_and_a_broken_one_changes_nothing() {
    let dir = tempfile::tempdir().unwrap();
    let own = Own::new(dir.path(), "own", &["stats.example.org"]);
    let (port, http) = (free_port(), free_port());
    let mut sotto = Sotto::start_with_all(&own.config(port, http));
    let first = dir.path().join("trusted-first.pem");
    fs::copy(&own.certificate, &first).unwrap();
    let mut old = Https { port, host: "stats.example.org", roots: &first }.connect().unwrap();
    assert_eq!(get_on(&mut old, "stats.example.org", "/s.js"), Ok(200));
    assert_eq!(faults(&sotto), "ok");
    assert!(metric(&sotto, "sotto_certificate_expires_seconds") > 86_400.0);

    fs::write(&own.certificate, "-----BEGIN CERTIFICATE-----\nbroken").unwrap();
    let told = wait_for("the fault", || Some(faults(&sotto)).filter(|told| told != "ok"));
    assert!(told.contains("own.pem") && told.contains("the one before it is used"), "{told}");
    assert_eq!(metric(&sotto, "sotto_certificate_failures_total"), 1.0);
    assert_eq!(metric(&sotto, "sotto_certificate_faults"), 1.0);
    assert!(sotto.log().contains("a certificate cannot be used"));
    assert_eq!(Https { port, host: "stats.example.org", roots: &first }.get("/s.js"), Ok(200));
    let (ok, doctor) = sotto.try_run(&["doctor"], "");
    assert!(!ok && doctor.contains("own.pem: no certificate as PEM"), "{doctor}");

    let new = Own::new(dir.path(), "own", &["stats.example.org"]);
    wait_for("the new one", || (faults(&sotto) == "ok").then_some(()));
    let client = Https { port, host: "stats.example.org", roots: &new.certificate };
    wait_for("the new one to be used", || client.get("/s.js").ok().filter(|status| *status == 200));
    assert!(Https { port, host: "stats.example.org", roots: &first }.get("/s.js").is_err());
    assert_eq!(get_on(&mut old, "stats.example.org", "/s.js"), Ok(200), "the connection of before goes on");

    // A key that others may read is told by doctor, and by the log when it is read.
    fs::set_permissions(&new.key, fs::Permissions::from_mode(0o644)).unwrap();
    wait_for("the warning", || sotto.log().contains("others may read a private key").then_some(()));
    let (ok, doctor) = sotto.try_run(&["doctor", "--json"], "");
    let checks: Value = serde_json::from_str(doctor.split("\nsotto").next().unwrap()).unwrap_or_default();
    assert!(!ok && doctor.contains("own.key: others may read it"), "{checks}");
    sotto.stop();
    let key = fs::read_to_string(&new.key).unwrap();
    assert!(!sotto.log().contains(key.lines().nth(1).unwrap()), "no key in the log");
}

#[test]
fn start_with_a_certificate_that_cannot_be_used_says_which_file() {
    let dir = tempfile::tempdir().unwrap();
    let own = Own::new(dir.path(), "own", &["stats.example.org"]);
    let other = Own::new(dir.path(), "other", &["stats.example.org"]);
    let mut sotto = Sotto::start();
    let config = dir.path().join("sotto.toml");
    for (certificate, key, part) in [
        (&own.certificate, &other.key, "other.key"),
        (&own.certificate, &dir.path().join("missing"), "missing"),
        (&own.key, &own.key, "own.key: no certificate"),
    ] {
        let text =
            Own { certificate: certificate.clone(), key: key.clone() }.config(free_port(), free_port());
        fs::write(&config, text).unwrap();
        let data = dir.path().join("data");
        let output = Command::new(sotto_tests::program())
            .args(["--config".as_ref(), config.as_os_str(), "--data".as_ref(), data.as_os_str()])
            .arg("serve")
            .stdin(Stdio::null())
            .output()
            .unwrap();
        let told = String::from_utf8_lossy(&output.stderr).into_owned();
        assert!(!output.status.success() && told.contains("[tls]") && told.contains(part), "{told}");
    }
    sotto.stop();
}

#[test]
fn renegotiation_is_refused() {
    let dir = tempfile::tempdir().unwrap();
    let own = Own::new(dir.path(), "own", &["stats.example.org"]);
    let (port, http) = (free_port(), free_port());
    let mut sotto = Sotto::start_with_all(&own.config(port, http));
    let mut client = Command::new("openssl")
        .args(["s_client", "-tls1_2", "-connect", &format!("127.0.0.1:{port}")])
        .args(["-servername", "stats.example.org"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    // "R" on a line of its own asks for another handshake.
    client.stdin.take().unwrap().write_all(b"R\n").unwrap();
    let output = client.wait_with_output().unwrap();
    let told = String::from_utf8_lossy(&[output.stdout, output.stderr].concat()).into_owned();
    assert!(told.contains("RENEGOTIATING"), "{told}");
    assert!(told.contains("no renegotiation") || told.contains("unexpected message"), "{told}");
    assert!(told.contains("Secure Renegotiation IS supported"), "as RFC 5746 asks: {told}");
    sotto.stop();
}
