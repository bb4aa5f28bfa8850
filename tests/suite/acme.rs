//! Certificates from a real ACME authority (Pebble), which looks at the real program.

use std::{
    fs,
    io::{self, Read as _, Write as _},
    net::{TcpListener, TcpStream},
    os::unix::fs::PermissionsExt as _,
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
};

use serde_json::json;
use sotto_tests::{Sotto, free_port, request, wait_for, workspace};

use crate::tls::{Https, Own, faults, metric};

/// What Pebble asks for addresses, over TCP (RFC 7766): every name is on this machine.
fn name_server() -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            std::thread::spawn(move || stream.and_then(answer_questions));
        }
    });
    port
}

fn answer_questions(mut stream: TcpStream) -> io::Result<()> {
    loop {
        let mut length = [0; 2];
        stream.read_exact(&mut length)?;
        let mut question = vec![0; u16::from_be_bytes(length).into()];
        stream.read_exact(&mut question)?;
        let answer = named_here(&question).ok_or(io::ErrorKind::InvalidData)?;
        stream.write_all(&[&(answer.len() as u16).to_be_bytes(), &answer[..]].concat())?;
    }
}

/// An answer to a question (RFC 1035, 4): 127.0.0.1 for a host's address, and nothing for all else.
fn named_here(question: &[u8]) -> Option<Vec<u8>> {
    let name = question.get(12..)?.iter().position(|byte| *byte == 0)?;
    let asked = question.get(12..12 + name + 5)?;
    let is_address = asked[name + 1..] == [0, 1, 0, 1];
    let mut answer =
        [&question[..2], &[0x81, 0x80, 0, 1, 0, u8::from(is_address), 0, 0, 0, 0], asked].concat();
    if is_address {
        answer.extend([0xc0, 12, 0, 1, 0, 1, 0, 0, 0, 1, 0, 4, 127, 0, 0, 1]);
    }
    Some(answer)
}

/// Pebble, which looks at these ports.
struct Pebble {
    child: Child,
    dir: tempfile::TempDir,
    port: u16,
    management: u16,
}

impl Drop for Pebble {
    fn drop(&mut self) {
        let _gone = self.child.kill();
        let _ended = self.child.wait();
    }
}

impl Pebble {
    fn start(http_port: u16, tls_port: u16, validity_s: u32) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let (port, management) = (free_port(), free_port());
        let own = Own::new(dir.path(), "pebble", &["localhost"]);
        let config = json!({ "pebble": {
            "listenAddress": format!("127.0.0.1:{port}"),
            "managementListenAddress": format!("127.0.0.1:{management}"),
            "certificate": own.certificate, "privateKey": own.key,
            "httpPort": http_port, "tlsPort": tls_port, "ocspResponderURL": "",
            "externalAccountBindingRequired": false,
            "profiles": { "default": { "description": "short", "validityPeriod": validity_s } },
        }});
        fs::write(dir.path().join("config.json"), config.to_string()).unwrap();
        let program = workspace().join("tests/acme/.bin/pebble");
        assert!(program.exists(), "`make test-suite` builds the authority");
        let log = fs::File::create(dir.path().join("log")).unwrap();
        let child = Command::new(program)
            .arg("-config")
            .arg(dir.path().join("config.json"))
            .arg("-dnsserver")
            .arg(format!("127.0.0.1:{}", name_server()))
            // It looks at once, and at every order anew.
            .env("PEBBLE_VA_NOSLEEP", "1")
            .env("PEBBLE_AUTHZREUSE", "0")
            .stdout(Stdio::from(log.try_clone().unwrap()))
            .stderr(Stdio::from(log))
            .spawn()
            .unwrap();
        let pebble = Self { child, dir, port, management };
        wait_for("Pebble", || TcpStream::connect(("127.0.0.1", management)).ok());
        wait_for("Pebble", || TcpStream::connect(("127.0.0.1", port)).ok());
        pebble
    }

    /// The certificates that its own are signed by, for clients.
    fn roots(&self) -> PathBuf {
        let url = format!("https://127.0.0.1:{}/roots/0", self.management);
        let path = self.dir.path().join("roots.pem");
        fs::write(&path, request("GET", &url, &[], b"").body).unwrap();
        path
    }

    fn log(&self) -> String {
        fs::read_to_string(self.dir.path().join("log")).unwrap()
    }

    fn config(&self, ports: [u16; 2], more: &str) -> String {
        let [http, https] = ports;
        format!(
            "listen = \"127.0.0.1:{https}\"\nadmin_listen = \"127.0.0.1:0\"\npublic_url = \"https://127.0.0.1:{https}\"\n\
             [tls]\nhttp_listen = \"127.0.0.1:{http}\"\n[tls.acme]\naccept_terms = true\ncontact = \"a@b.example\"\n\
             directory = \"https://localhost:{}/dir\"\nca_file = \"{}\"\nretry = \"1s\"\n{more}\n",
            self.port,
            self.dir.path().join("pebble.pem").display()
        )
    }
}

fn mode(path: &Path) -> u32 {
    fs::metadata(path).unwrap().permissions().mode() & 0o777
}

fn gets_and_renews(challenge: &str) {
    let ports = [free_port(), free_port()];
    // A third of it is left after twenty seconds.
    let pebble = Pebble::start(ports[0], ports[1], 30);
    let hosts = "hosts = [\"stats.example.org\", \"stats.client.example\"]";
    let config = pebble.config(ports, &format!("{hosts}\nchallenge = \"{challenge}\""));
    let mut sotto = Sotto::start_with_all(&config);
    wait_for("both certificates", || (metric(&sotto, "sotto_acme_certificates_total") >= 2.0).then_some(()));
    let roots = pebble.roots();
    for host in ["stats.example.org", "stats.client.example"] {
        let answer = Https { port: ports[1], host, roots: &roots }.get("/s.js");
        assert_eq!(answer, Ok(200), "{host}\n{}", pebble.log());
    }
    let other = Https { port: ports[1], host: "other.example", roots: &roots }.get("/s.js");
    assert!(other.is_err(), "only the configured names: {other:?}");
    let dir = sotto.data().join("acme");
    let mut files: Vec<_> =
        fs::read_dir(&dir).unwrap().map(|file| file.unwrap().file_name().into_string().unwrap()).collect();
    files.sort_unstable();
    assert_eq!(files, ["account.json", "stats.client.example.pem", "stats.example.org.pem"]);
    for file in &files {
        assert_eq!(mode(&dir.join(file)), 0o600, "{file}");
    }
    let first = fs::read(dir.join("stats.example.org.pem")).unwrap();
    wait_for("a renewal", || (fs::read(dir.join("stats.example.org.pem")).unwrap() != first).then_some(()));
    assert_eq!(Https { port: ports[1], host: "stats.example.org", roots: &roots }.get("/s.js"), Ok(200));
    assert_eq!(metric(&sotto, "sotto_acme_failures_total"), 0.0, "{}", sotto.log());
    assert_eq!(faults(&sotto), "ok");
    sotto.stop();
    let key = String::from_utf8(first).unwrap();
    let key = key.split("PRIVATE KEY-----\n").nth(1).unwrap().lines().next().unwrap();
    assert!(!sotto.log().contains(key), "no key in the log");
    // The next start uses what is there.
    sotto.start_again();
    assert_eq!(Https { port: ports[1], host: "stats.client.example", roots: &roots }.get("/s.js"), Ok(200));
    sotto.stop();
}

#[test]
fn certificates_are_got_and_renewed_with_a_file_over_plain_http() {
    gets_and_renews("http-01");
}

#[test]
fn certificates_are_got_and_renewed_with_a_certificate_over_tls() {
    gets_and_renews("tls-alpn-01");
}

#[test]
fn name_that_leads_elsewhere_is_told_counted_and_tried_again_and_stops_no_other() {
    let ports = [free_port(), free_port()];
    let elsewhere = free_port();
    // The authority looks at another port than ours.
    let pebble = Pebble::start(elsewhere, ports[1], 3600);
    let hosts = "hosts = [\"stats.example.org\"]\nchallenge = \"http-01\"";
    let sotto = Sotto::start_with_all(&pebble.config(ports, hosts));
    wait_for("two failures", || (metric(&sotto, "sotto_acme_failures_total") >= 2.0).then_some(()));
    let told = faults(&sotto);
    assert!(told.contains("stats.example.org: the authority could not see"), "{told}");
    assert!(told.contains("connection refused") || told.contains("Connection refused"), "{told}");
    assert!(metric(&sotto, "sotto_certificate_faults") >= 1.0);
    let (ok, doctor) = sotto.try_run(&["doctor"], "");
    assert!(!ok && doctor.contains("stats.example.org: none yet"), "{doctor}");
    // Plain HTTP works meanwhile: it leads to HTTPS.
    let url = format!("http://127.0.0.1:{}/", ports[0]);
    assert_eq!(request("GET", &url, &[("host", "stats.example.org")], b"").status, 308);
    assert_eq!(request("GET", &format!("{url}.well-known/acme-challenge/x"), &[], b"").status, 404);
}
