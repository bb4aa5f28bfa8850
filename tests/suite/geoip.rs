//! Newer GeoIP files, fetched from a server and taken over by a running Sotto.

use std::{
    fs,
    io::{BufRead, BufReader, Write},
    net::TcpListener,
};

use sha2::{Digest, Sha256};
use sotto_tests::{Sotto, wait_for};

/// A small database, made by the program itself, in an archive as MaxMind makes them.
fn archive(sotto: &Sotto, dir: &std::path::Path) -> Vec<u8> {
    let (csv, mmdb) = (dir.join("asn.csv"), dir.join("made.mmdb"));
    fs::write(&csv, "192.0.2.0,192.0.2.255,64500,Example Networks\n").unwrap();
    sotto.run(&["geoip", "build-asn", csv.to_str().unwrap(), "--out", mmdb.to_str().unwrap()]);
    packed("Test_20261121/Test.mmdb", &fs::read(mmdb).unwrap())
}

fn packed(name: &str, bytes: &[u8]) -> Vec<u8> {
    let mut archive =
        tar::Builder::new(flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast()));
    let mut header = tar::Header::new_gnu();
    header.set_size(bytes.len() as u64);
    header.set_mode(0o644);
    header.set_cksum();
    archive.append_data(&mut header, name, bytes).unwrap();
    archive.into_inner().unwrap().finish().unwrap()
}

/// Serves an archive and its checksum to whoever has the account's key; the address.
fn serve(archive: Vec<u8>, checksum: String) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    std::thread::spawn(move || {
        for mut stream in listener.incoming().map_while(Result::ok) {
            let mut reader = BufReader::new(stream.try_clone().unwrap());
            let (mut first, mut line, mut known) = (String::new(), String::new(), false);
            reader.read_line(&mut first).unwrap();
            while reader.read_line(&mut line).unwrap() > 2 {
                // "123:key" in base64
                known |= line.trim().eq_ignore_ascii_case("authorization: Basic MTIzOmtleQ==");
                line.clear();
            }
            let (status, body) = match (known, first.contains("sha256")) {
                (false, _) => ("401 Unauthorized", Vec::new()),
                (true, true) => ("200 OK", format!("{checksum}  Test.tar.gz").into_bytes()),
                (true, false) => ("200 OK", archive.clone()),
            };
            let head =
                format!("HTTP/1.1 {status}\r\ncontent-length: {}\r\nconnection: close\r\n\r\n", body.len());
            let _gone = stream.write_all(&[head.into_bytes(), body].concat());
        }
    });
    format!("http://{address}")
}

fn sha256(bytes: &[u8]) -> String {
    Sha256::digest(bytes).iter().map(|b| format!("{b:02x}")).collect()
}

#[test]
fn newer_file_is_fetched_checked_and_taken_over_while_hits_come_in() {
    let geo = tempfile::tempdir().unwrap();
    let sotto = Sotto::start_with(&format!("[geoip]\ndir = \"{}\"\n", geo.path().display()));
    let work = tempfile::tempdir().unwrap();
    let archive = archive(&sotto, work.path());
    let key = work.path().join("key");
    fs::write(&key, "key\n").unwrap();
    let dir = geo.path().to_str().unwrap();
    let update = |url: &str, account: &str| {
        let key = key.to_str().unwrap();
        sotto.try_run(
            &[
                "geoip",
                "update",
                "--account",
                account,
                "--licence-key-file",
                key,
                "--edition",
                "Test",
                "--url",
                url,
                "--dir",
                dir,
            ],
            "",
        )
    };
    let good = serve(archive.clone(), sha256(&archive));
    let (ok, out) = update(&good, "999");
    assert!(!ok && out.contains("--account"), "a wrong account: {out}");
    let (ok, out) = update(&serve(archive.clone(), sha256(b"other")), "123");
    assert!(!ok && out.contains("not what it should be"), "a wrong checksum: {out}");
    let broken = packed("Test/Test.mmdb", b"no database");
    let (ok, out) = update(&serve(broken.clone(), sha256(&broken)), "123");
    assert!(!ok && out.contains("nothing was changed"), "a broken file: {out}");
    assert_eq!(fs::read_dir(geo.path()).unwrap().count(), 0, "nothing was left behind");

    let (ok, out) = update(&good, "123");
    assert!(ok && out.contains("Test.mmdb"), "{out}");
    wait_for("the running sotto to take the file over", || {
        let metrics = sotto_tests::request("GET", &format!("{}/metrics", sotto.admin), &[], b"").text();
        metrics.contains("sotto_geoip_files 1").then_some(())
    });
    let site = sotto.add_site("a.example", &["--policy", "cookieless"]);
    let hit = format!(r#"{{"v":1,"s":"{site}","k":"p","i":"v1","q":0,"u":"https://a.example/"}}"#);
    assert_eq!(sotto.hit(&hit, &[("x-forwarded-for", "192.0.2.7")]), 204);
    sotto.wait_for_pageviews(&site, 1);
    assert!(sotto.run(&["export", &site]).contains("Example Networks"));
}
