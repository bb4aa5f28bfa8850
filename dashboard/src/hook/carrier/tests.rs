use std::{
    io::{Read as _, Write as _},
    net::TcpListener,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    thread::JoinHandle,
};

use ureq::unversioned::transport::NextTimeout;
use ureq::{config::Config, http::Uri, unversioned::resolver::ResolvedSocketAddrs};

use super::*;

const MESSAGE: Message<'_> = Message { id: "msg_1", time_s: 1_800_000_000, body: r#"{"a":1}"# };
const SECRET: [u8; 32] = [7; 32];
/// Of tests that wait for it.
const SHORT: Duration = Duration::from_millis(300);

/// A server that reads one request, writes an answer, perhaps again and again, and tells what it read.
fn serve(answer: Vec<u8>, endless: bool) -> (u16, JoinHandle<String>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    let served = std::thread::spawn(move || {
        let (mut stream, _) = listener.accept().unwrap();
        let mut read = Vec::new();
        let mut part = [0; 4096];
        while !String::from_utf8_lossy(&read).ends_with(MESSAGE.body) {
            let n = stream.read(&mut part).unwrap();
            assert!(n > 0, "the request is cut");
            read.extend_from_slice(&part[..n]);
        }
        let mut written = stream.write_all(&answer);
        while endless && written.is_ok() {
            written = stream.write_all(&[b'a'; 4096]);
        }
        // Until the other side hangs up.
        let _gone = stream.read(&mut part);
        String::from_utf8(read).unwrap()
    });
    (port, served)
}

fn to(port: u16) -> String {
    format!("http://127.0.0.1:{port}/in?key=1")
}

/// Names that lead to addresses in turn; the last stays.
#[derive(Debug, Clone)]
struct Names(Arc<AtomicUsize>, Vec<Vec<String>>);

impl Names {
    fn of(turns: &[&[String]]) -> Self {
        Self(Arc::default(), turns.iter().map(|turn| turn.to_vec()).collect())
    }
}

impl Resolver for Names {
    fn resolve(&self, _: &Uri, _: &Config, _: NextTimeout) -> Result<ResolvedSocketAddrs, ureq::Error> {
        let turn = self.0.fetch_add(1, Ordering::SeqCst).min(self.1.len() - 1);
        let mut found = self.empty();
        self.1[turn].iter().for_each(|place| found.push(place.parse().unwrap()));
        Ok(found)
    }
}

#[test]
fn message_is_signed_and_has_nothing_else_of_ours() {
    let (port, served) = serve(b"HTTP/1.1 204 No Content\r\n\r\n".to_vec(), false);
    let answer = send(Reach::Loopback, &to(port), &SECRET, MESSAGE);
    assert_eq!(answer, Answer { state: State::Sent, code: 204, why: "" });
    let request = served.join().unwrap().to_ascii_lowercase();
    assert!(request.starts_with("post /in?key=1 http/1.1\r\n"), "{request}");
    let mut names: Vec<&str> =
        request.lines().skip(1).filter_map(|line| Some(line.split_once(": ")?.0)).collect();
    names.sort_unstable();
    let expected = [
        "accept",
        "accept-encoding",
        "content-length",
        "content-type",
        "host",
        "user-agent",
        "webhook-id",
        "webhook-signature",
        "webhook-timestamp",
    ];
    assert!(names.iter().all(|name| expected.contains(name)), "{names:?}");
    let signed = signature(&SECRET, MESSAGE.id, MESSAGE.time_s, MESSAGE.body).to_ascii_lowercase();
    for line in
        ["webhook-id: msg_1", "webhook-timestamp: 1800000000", &format!("webhook-signature: {signed}")]
    {
        assert!(request.lines().any(|known| known == line), "{line}: {request}");
    }
}

#[test]
fn status_says_whether_it_is_tried_again() {
    for (code, state) in [
        (200, State::Sent),
        (299, State::Sent),
        (300, State::Refused),
        (400, State::Refused),
        (404, State::Refused),
        (408, State::Deferred),
        (410, State::Refused),
        (429, State::Deferred),
        (500, State::Deferred),
        (599, State::Deferred),
    ] {
        let (port, served) = serve(format!("HTTP/1.1 {code} X\r\ncontent-length: 0\r\n\r\n").into(), false);
        let answer = send(Reach::Loopback, &to(port), &SECRET, MESSAGE);
        assert_eq!((answer.state, answer.code), (state, code));
        served.join().unwrap();
    }
}

#[test]
fn redirect_is_not_followed() {
    let inner = TcpListener::bind("127.0.0.1:0").unwrap();
    inner.set_nonblocking(true).unwrap();
    let place = inner.local_addr().unwrap();
    for code in [301, 302, 303, 307, 308] {
        let head = format!("HTTP/1.1 {code} X\r\nlocation: http://{place}/\r\ncontent-length: 0\r\n\r\n");
        let (port, served) = serve(head.into(), false);
        let answer = send(Reach::Loopback, &to(port), &SECRET, MESSAGE);
        assert_eq!((answer.state, answer.code), (State::Refused, code));
        served.join().unwrap();
    }
    assert!(inner.accept().is_err(), "somebody came");
}

#[test]
fn name_with_a_private_address_is_refused_without_a_connection() {
    let inner = TcpListener::bind("127.0.0.1:0").unwrap();
    inner.set_nonblocking(true).unwrap();
    let private = inner.local_addr().unwrap().to_string();
    let public = "[2606:4700::1111]:443".to_owned();
    for places in [vec![private.clone()], vec![public.clone(), private.clone()], vec![private, public]] {
        let names = Names::of(&[&places]);
        let answer = carry(names, (Reach::Public, TIMEOUT), "https://hooks.example/", &SECRET, MESSAGE);
        assert_eq!((answer.state, answer.why), (State::Refused, "its address is not public"), "{places:?}");
    }
    assert!(inner.accept().is_err(), "somebody came");
}

#[test]
fn connection_goes_to_the_address_that_was_checked_whatever_the_name_leads_to_after() {
    let (port, served) = serve(b"HTTP/1.1 204 No Content\r\n\r\n".to_vec(), false);
    let names = Names::of(&[&[format!("127.0.0.1:{port}")], &["127.0.0.2:1".to_owned()]]);
    let asked = names.0.clone();
    let answer = carry(names, (Reach::Loopback, TIMEOUT), "http://hooks.example:8000/", &SECRET, MESSAGE);
    assert_eq!(answer.state, State::Sent);
    assert_eq!(asked.load(Ordering::SeqCst), 1, "it was looked up again");
    assert!(served.join().unwrap().contains("hooks.example"));
}

#[test]
fn answer_without_an_end_costs_nothing() {
    let (port, served) = serve(b"HTTP/1.1 200 OK\r\n\r\n".to_vec(), true);
    assert_eq!(send(Reach::Loopback, &to(port), &SECRET, MESSAGE).state, State::Sent);
    served.join().unwrap();
}

#[test]
fn server_that_says_nothing_is_left_after_the_time_limit() {
    for answer in ["", "HTTP/1.1 200 OK\r\nx-a: "] {
        let (port, served) = serve(answer.into(), false);
        let told = carry(DefaultResolver::default(), (Reach::Loopback, SHORT), &to(port), &SECRET, MESSAGE);
        assert_eq!(told, deferred(0, "it took too long"), "{answer:?}");
        served.join().unwrap();
    }
}

#[test]
fn head_of_an_answer_is_read_up_to_its_limit() {
    let start = "HTTP/1.1 200 OK\r\nx-a: ";
    for (bytes, state) in [(HEAD_BYTES_MAX - 1, State::Sent), (HEAD_BYTES_MAX + 1, State::Refused)] {
        let head = format!("{start}{}\r\n\r\n", "a".repeat(bytes - start.len() - 4));
        let (port, served) = serve(head.into(), false);
        assert_eq!(send(Reach::Loopback, &to(port), &SECRET, MESSAGE).state, state, "{bytes}");
        served.join().unwrap();
    }
}

#[test]
fn server_that_is_not_there_is_tried_again() {
    let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    let answer = send(Reach::Loopback, &to(port), &SECRET, MESSAGE);
    assert_eq!(answer, deferred(0, "it cannot be reached"));
}
