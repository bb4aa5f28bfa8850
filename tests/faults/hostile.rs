//! Broken, slow, numerous or hostile clients. Whatever they send, others are served and nothing is lost.

use std::{
    io::{Read, Write},
    net::{Shutdown, TcpStream},
    time::Duration,
};

use sotto_tests::{Sotto, connect};

use crate::{
    account::{Running, settle},
    extent,
};

/// The bytes written to a connection, and whether its write half is then closed.
fn hostile(random: &mut fastrand::Rng, site: &str) -> (Vec<u8>, bool) {
    let head = |length: usize| {
        format!("POST /e HTTP/1.1\r\nHost: x\r\nUser-Agent: x\r\nContent-Length: {length}\r\n\r\n")
    };
    let hit = format!(r#"{{"v":1,"s":"{site}","k":"p","i":"x","q":0,"b":1,"u":"https://a.example/"}}"#);
    match random.u32(..9) {
        0 => (Vec::new(), false),
        1 => ((0..random.usize(1..3_000)).map(|_| random.u8(..)).collect(), random.bool()),
        2 => (b"POST /e HTTP/1.1\r\nHost: x\r\nX-Slow: ".to_vec(), false),
        3 => (head(hit.len() + 100).into_bytes().into_iter().chain(hit.bytes()).collect(), random.bool()),
        4 => ([head(1 << 30).as_bytes(), &vec![b'a'; 200_000]].concat(), false),
        5 => (
            format!("POST /e HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\nffffffffffff\r\n{hit}")
                .into_bytes(),
            true,
        ),
        6 => (format!("GET /{} HTTP/1.1\r\n\r\n", "a".repeat(100_000)).into_bytes(), false),
        7 => (
            format!("POST /e HTTP/1.1\r\nHost: x\r\n{}\r\n", "X-Many: 1\r\n".repeat(5_000)).into_bytes(),
            true,
        ),
        // A complete request, half closed before it is answered.
        _ => (head(hit.len()).into_bytes().into_iter().chain(hit.bytes()).collect(), true),
    }
}

#[test]
fn flood_of_broken_clients_loses_no_hit_of_the_others() {
    let sotto = Sotto::start_with("[server]\nheader_timeout = \"2s\"\nrequest_timeout = \"2s\"\n");
    let site = sotto.add_site("a.example", &[]);
    let load = Running::start(&sotto, &site, 500.0);
    let mut random = fastrand::Rng::with_seed(7);
    let mut open: Vec<TcpStream> = Vec::new();
    for _ in 0..extent(3_000, 30_000) {
        let (bytes, half_close) = hostile(&mut random, &site);
        let mut stream = connect(&sotto.url);
        // The server may close the connection before everything is written.
        let _written = stream.write_all(&bytes);
        if half_close {
            let _closed = stream.shutdown(Shutdown::Write);
        }
        open.push(stream);
        if open.len() > 400 {
            let mut gone = open.swap_remove(random.usize(..open.len()));
            gone.set_read_timeout(Some(Duration::from_millis(1))).unwrap();
            let _answer = gone.read(&mut [0; 64]);
        }
    }
    load.goes_on_for(300);
    let sent = load.end();
    assert!(
        sent.refused.is_empty() && sent.unanswered.is_empty(),
        "{:?} {:?}",
        sent.refused,
        sent.unanswered
    );
    settle(&sotto, &site, &sent, "a flood of broken clients");
    assert_eq!(sotto.panics(), 0);
}
