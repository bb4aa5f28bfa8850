//! The embedded ClickHouse, as its module promises it.

use std::{
    io::{BufRead, BufReader, Read, Write},
    net::{Shutdown, TcpStream},
    path::PathBuf,
    process::{Command, Stdio},
    time::Duration,
};

use rustix::process::{Signal, kill_process};
use serde_json::Value;
use sotto_store::db::Access;
use sotto_tests::{Sotto, connect, is_alive, request, try_request, wait_for};

/// Where the server of a running Sotto is: writer and reader.
fn endpoint(sotto: &Sotto) -> (Access, Access) {
    let text = std::fs::read_to_string(sotto.data().join("clickhouse/endpoint.json")).unwrap();
    let endpoint: Value = serde_json::from_str(&text).unwrap();
    let access = |name: &str| serde_json::from_value(endpoint[name].clone()).unwrap();
    (access("writer"), access("reader"))
}

fn query(access: &Access, user: &str, password: &str, sql: &str) -> (u16, String) {
    let url = format!("{}/?user={user}&password={password}&database={}", access.url, access.database);
    let answer = request("POST", &url, &[], sql.as_bytes());
    (answer.status, answer.text())
}

#[test]
fn only_the_two_users_with_their_passwords_get_in() {
    let sotto = Sotto::start();
    let (writer, reader) = endpoint(&sotto);
    assert_eq!(query(&writer, "collector", &writer.password, "SELECT 1"), (200, "1\n".into()));
    assert_eq!(query(&reader, "dashboard", &reader.password, "SELECT 1"), (200, "1\n".into()));
    for (user, password) in [("collector", "wrong"), ("dashboard", ""), ("default", ""), ("admin", "")] {
        let (status, text) = query(&writer, user, password, "SELECT 1");
        assert_ne!(status, 200, "{user}: {text}");
    }
}

#[test]
fn report_is_read_by_two_threads_also_where_memory_is_small() {
    let sotto = Sotto::start();
    let (_, reader) = endpoint(&sotto);
    let sql = "EXPLAIN PIPELINE SELECT sum(number) FROM numbers_mt(100000000)";
    let (status, text) = query(&reader, "dashboard", &reader.password, sql);
    assert_eq!(status, 200, "{text}");
    assert!(text.contains("AggregatingTransform × 2"), "{text}");
}

#[test]
fn users_can_do_what_they_must_and_no_more() {
    let sotto = Sotto::start();
    let (writer, reader) = endpoint(&sotto);
    for sql in [
        "INSERT INTO sites (id) VALUES (1)",
        "DROP TABLE sites",
        "SELECT * FROM file('/etc/passwd', 'LineAsString')",
        "SELECT * FROM url('http://127.0.0.1:1/', 'LineAsString')",
        "SELECT * FROM system.users",
        "SET max_memory_usage = 10000000000",
        "CREATE USER x",
    ] {
        let (status, text) = query(&reader, "dashboard", &reader.password, sql);
        assert_ne!(status, 200, "reader: {sql}: {text}");
    }
    for sql in [
        "SELECT * FROM file('/etc/passwd', 'LineAsString')",
        "SELECT * FROM url('http://127.0.0.1:1/', 'LineAsString')",
        "CREATE DATABASE other",
        "SELECT demangle(addressToSymbol(1)) SETTINGS allow_introspection_functions = 1",
    ] {
        let (status, text) = query(&writer, "collector", &writer.password, sql);
        assert_ne!(status, 200, "writer: {sql}: {text}");
    }
}

#[test]
fn passwords_and_configuration_are_private_and_new_at_each_start() {
    use std::os::unix::fs::PermissionsExt;
    let mut sotto = Sotto::start();
    let before = endpoint(&sotto).0.password;
    for file in ["endpoint.json", "config.xml", "users.xml"] {
        let mode =
            std::fs::metadata(sotto.data().join("clickhouse").join(file)).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600, "{file}");
    }
    sotto.stop();
    let gone: PathBuf = sotto.data().join("clickhouse/endpoint.json");
    assert!(!gone.exists(), "a stopped server is not announced");
    sotto.start_again();
    assert_ne!(endpoint(&sotto).0.password, before);
}

/// What rude clients do. Most of them ended a server whose standard input was no terminal.
fn rude_clients(auth: &str) -> Vec<(&'static str, Vec<u8>)> {
    let head = |rest: &str| format!("POST /?{auth} HTTP/1.1\r\nHost: x\r\n{rest}").into_bytes();
    vec![
        ("nothing", Vec::new()),
        ("garbage", (0..200u32).map(|i| (i * 37 % 251) as u8).collect()),
        ("a TLS hello", [&b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03"[..], &[7; 300]].concat()),
        ("half a header", head("")),
        ("half a body", head("Content-Length: 100000\r\n\r\nINSERT INTO events FORMAT TSV\n1\n")),
        ("a chunk", head("Transfer-Encoding: chunked\r\n\r\n4\r\n1\n2\n\r\n")),
        ("a bad chunk", head("Transfer-Encoding: chunked\r\n\r\nZZZZ\r\nINSERT")),
        (
            "an endless result",
            head("Content-Length: 46\r\n\r\nSELECT number FROM system.numbers LIMIT 9999999"),
        ),
        ("a long address", [b"GET /?query=".to_vec(), vec![b'a'; 2_000_000]].concat()),
        ("an expectation", head("Expect: 100-continue\r\nContent-Length: 50\r\n\r\n")),
    ]
}

/// Ends a connection with a reset instead of a farewell.
fn reset(stream: TcpStream) {
    rustix::net::sockopt::set_socket_linger(&stream, Some(Duration::ZERO)).unwrap();
    drop(stream);
}

#[test]
fn rude_client_leaves_the_server_alive() {
    let sotto = Sotto::start();
    let (writer, _) = endpoint(&sotto);
    let before = sotto.clickhouse_pids();
    let auth = format!("user=collector&password={}", writer.password);
    for (what, bytes) in rude_clients(&auth) {
        for round in 0..6 {
            let mut stream = connect(&writer.url);
            // The server may hang up before everything is written.
            let _hung_up = stream.write_all(&bytes);
            match round % 3 {
                0 => reset(stream),
                1 => drop(stream),
                _ => {
                    let _closed = stream.shutdown(Shutdown::Write);
                    let _answer = stream.read(&mut [0; 1_000]);
                    reset(stream);
                }
            }
        }
        wait_for(&format!("an answer after {what}"), || {
            (query(&writer, "collector", &writer.password, "SELECT 1").0 == 200).then_some(())
        });
    }
    assert_eq!(sotto.clickhouse_pids(), before, "the server was not restarted");
}

#[test]
fn killed_server_is_started_again_and_keeps_what_it_had() {
    let sotto = Sotto::start();
    let site = sotto.add_site("a.example", &[]);
    let hit =
        |n: u32| format!(r#"{{"v":1,"s":"{site}","k":"p","i":"view{n}","q":0,"u":"https://a.example/"}}"#);
    assert_eq!(sotto.hit(&hit(1), &[]), 204);
    sotto.wait_for_pageviews(&site, 1);
    for pid in sotto.clickhouse_pids() {
        kill_process(pid, Signal::KILL).unwrap();
    }
    assert_eq!(sotto.hit(&hit(2), &[]), 204, "hits are taken while the server is away");
    wait_for("the server to be back", || {
        let report = sotto.try_run(&["report", &site, "--metrics", "pageviews", "--json"], "");
        (report.0 && report.1.contains(":2")).then_some(())
    });
}

/// Takes a port as soon as it is free, says so, answers all requests with success, and says how much it was told.
const STRANGER: &str = r#"
import socket, sys, threading
print("ready", flush=True)
while True:
    try:
        taken = socket.socket()
        taken.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        taken.bind(("127.0.0.1", int(sys.argv[1])))
        taken.listen(64)
        break
    except OSError:
        taken.close()
print("taken", flush=True)
def answer(connection):
    told = connection.recv(65536)
    print("told", told, flush=True)
    if told:
        connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")
while True:
    connection, _ = taken.accept()
    threading.Thread(target=answer, args=(connection,), daemon=True).start()
"#;

/// A program of another user, with whatever may start one.
fn as_stranger() -> Command {
    use std::os::unix::process::CommandExt;
    /// `nobody`.
    const NOBODY: u32 = 65_534;
    if rustix::process::geteuid().is_root() {
        let mut command = Command::new("python3");
        command.uid(NOBODY).gid(NOBODY).current_dir("/");
        command
    } else {
        let mut command = Command::new("sudo");
        command.args(["-n", "-u", "nobody", "python3"]).current_dir("/");
        command
    }
}

/// A program that ends with its test.
struct Stranger(std::process::Child);

impl Drop for Stranger {
    fn drop(&mut self) {
        let _ended = self.0.kill();
        let _status = self.0.wait();
    }
}

#[test]
fn stranger_on_the_port_of_a_killed_server_is_told_nothing() {
    let sotto = Sotto::start();
    let site = sotto.add_site("a.example", &[]);
    let hit =
        |n: u32| format!(r#"{{"v":1,"s":"{site}","k":"p","i":"view{n}","q":0,"u":"https://a.example/"}}"#);
    let (writer, reader) = endpoint(&sotto);
    let port = writer.url.rsplit_once(':').unwrap().1.to_owned();
    let stranger = as_stranger().args(["-c", STRANGER, &port]).stdout(Stdio::piped()).spawn();
    let mut stranger = Stranger(stranger.expect("another user"));
    let mut says = BufReader::new(stranger.0.stdout.take().unwrap()).lines().map(Result::unwrap);
    assert_eq!(says.next().as_deref(), Some("ready"));
    for pid in sotto.clickhouse_pids() {
        kill_process(pid, Signal::KILL).unwrap();
    }
    assert_eq!(says.next().as_deref(), Some("taken"));
    for n in 0..20 {
        assert_eq!(sotto.hit(&hit(n), &[]), 204, "hits are taken while the server is away");
    }
    wait_for("the server to be back, with every hit", || {
        let report = sotto.try_run(&["report", &site, "--metrics", "pageviews", "--json"], "");
        (report.0 && report.1.contains(":20")).then_some(())
    });
    assert_ne!(endpoint(&sotto).0.url, writer.url, "the server had to take another port");
    drop(stranger);
    let told: Vec<String> = says.collect();
    let secrets = [writer.password.as_str(), reader.password.as_str(), "INSERT", "a.example"];
    let leaks = told.iter().any(|line| secrets.iter().any(|secret| line.contains(*secret)));
    assert!(!leaks, "the stranger was told something: {told:?}");
    assert!(!told.is_empty(), "nobody came to the stranger's port: the test shows nothing");
}

#[test]
fn server_ends_with_its_parent_even_if_that_is_killed() {
    let mut sotto = Sotto::start();
    let pids = sotto.clickhouse_pids();
    assert!(!pids.is_empty());
    sotto.kill();
    wait_for("the server to end", || pids.iter().all(|pid| !is_alive(*pid)).then_some(()));
}

#[test]
fn missing_library_stops_the_start_and_names_the_remedy() {
    let dir = tempfile::tempdir().unwrap();
    let config = dir.path().join("sotto.toml");
    std::fs::write(&config, "[clickhouse]\nlibrary = \"/nowhere/libchdb.so\"\n").unwrap();
    let output = Command::new(sotto_tests::program())
        .env("HOME", dir.path())
        .env_remove("SOTTO_CACHE")
        .env_remove("XDG_CACHE_HOME")
        .arg("--config")
        .arg(&config)
        .arg("--data")
        .arg(dir.path().join("data"))
        .args(["--listen", "127.0.0.1:0", "serve"])
        .output()
        .unwrap();
    let text = String::from_utf8_lossy(&output.stderr);
    assert!(!output.status.success());
    assert!(text.contains("libchdb.so is missing") && text.contains("make setup"), "{text}");
}

#[test]
fn external_server_takes_the_same_road() {
    // The embedded server of one Sotto is the external server of another.
    let host = Sotto::start();
    let (writer, _) = endpoint(&host);
    let config = format!(
        "[clickhouse]\nurl = \"{}\"\nuser = \"collector\"\npassword = \"{}\"\n",
        writer.url, writer.password
    );
    let sotto = Sotto::start_with(&config);
    assert!(sotto.clickhouse_pids().is_empty(), "no server of its own");
    let site = sotto.add_site("b.example", &[]);
    let hit = format!(r#"{{"v":1,"s":"{site}","k":"p","i":"v1","q":0,"u":"https://b.example/"}}"#);
    assert_eq!(sotto.hit(&hit, &[]), 204);
    sotto.wait_for_pageviews(&site, 1);
    assert_eq!(host.report(&site, &["--metrics", "pageviews"])[0]["pageviews"], 1);
}

#[test]
fn external_server_that_is_away_delays_hits_and_loses_none() {
    let port = sotto_tests::free_port();
    let sotto = Sotto::start_with(&format!("[clickhouse]\nurl = \"http://127.0.0.1:{port}\"\n"));
    let ready = try_request("GET", &format!("{}/readyz", sotto.admin), &[], b"").unwrap();
    assert_eq!(ready.status, 200);
    assert_eq!(ready.json()["clickhouse"], "away; hits wait in the spool");
}
