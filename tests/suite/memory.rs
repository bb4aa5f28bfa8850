//! A salt that is dead is nowhere: not in the memory of the processes, not on the RAM disk, in no file, in no log; nor are
//! addresses and user agents in any file. Every scan is first shown able to find what is there.

#![allow(clippy::print_stdout)] // How much was scanned is quoted.

use std::{
    fs::{self, File},
    io,
    os::unix::fs::FileExt,
    path::PathBuf,
};

use memchr::memmem::Finder;
use rustix::process::Pid;
use serde_json::Value;
use sotto_tests::{Sotto, files, wait_for};

/// How much of a process is read at a time.
const PIECE: usize = 1 << 20;

/// How often `needle` is in the memory that a process can write to. Needs the right to trace it: root.
fn in_memory(pid: Pid, needle: &[u8]) -> (usize, u64) {
    scan(pid, needle).expect("the memory of processes is read as root")
}

/// Whether `needle` is in the memory of a process; not in one that has just ended.
pub(crate) fn is_in_memory(pid: Pid, needle: &[u8]) -> bool {
    scan(pid, needle).is_ok_and(|(found, _)| found > 0)
}

fn scan(pid: Pid, needle: &[u8]) -> io::Result<(usize, u64)> {
    let pid = pid.as_raw_nonzero();
    let memory = File::open(format!("/proc/{pid}/mem"))?;
    let maps = fs::read_to_string(format!("/proc/{pid}/maps"))?;
    let finder = Finder::new(needle);
    let (mut found, mut scanned) = (0, 0);
    for line in maps.lines() {
        let mut words = line.split_whitespace();
        let (range, rights) = (words.next().unwrap(), words.next().unwrap());
        if !rights.starts_with("rw") {
            continue;
        }
        let (from, to) = range.split_once('-').unwrap();
        let [from, to] = [from, to].map(|n| u64::from_str_radix(n, 16).unwrap());
        let mut at = from;
        let mut buffer = vec![0; PIECE + needle.len()];
        while at < to {
            // Pieces overlap by a needle, so that none lies across their border unseen.
            let want = usize::try_from(to - at).unwrap().min(buffer.len());
            // Guard pages and memory that is given back in between cannot be read, and hold nothing.
            let got = memory.read_at(&mut buffer[..want], at).unwrap_or(0);
            found += finder.find_iter(&buffer[..got]).filter(|offset| *offset < PIECE).count();
            scanned += got as u64;
            at += PIECE as u64;
        }
    }
    Ok((found, scanned))
}

/// The places in which `needle` is, of those that were scanned.
pub(crate) fn in_files(places: &[(PathBuf, Vec<u8>)], needle: &[u8]) -> Vec<PathBuf> {
    let finder = Finder::new(needle);
    places.iter().filter(|(_, bytes)| finder.find(bytes).is_some()).map(|(path, _)| path.clone()).collect()
}

/// Every file that the program and its database have, on disk and in memory, and the log.
pub(crate) fn places(sotto: &Sotto) -> Vec<(PathBuf, Vec<u8>)> {
    let mut places = [files(&sotto.data()), files(&sotto.ram())].concat();
    places.push(("the log".into(), sotto.log().into_bytes()));
    places
}

fn load(sotto: &Sotto, key: &str, visitors: u32) {
    for n in 0..visitors {
        let agent = format!("{} needle/{n}", sotto_tests::PERSON);
        let address = format!("203.0.113.{}", n % 250);
        let hit = format!(r#"{{"v":1,"s":"{key}","k":"p","i":"v{n}","q":0,"u":"https://a.example/{n}"}}"#);
        assert_eq!(sotto.hit(&hit, &[("user-agent", &agent), ("x-forwarded-for", &address)]), 204);
    }
    sotto.wait_for_pageviews(key, u64::from(visitors));
}

#[test]
#[allow(clippy::print_stdout)] // What was scanned is worth reading.
fn dead_salt_is_in_no_memory_and_in_no_file() {
    let mut sotto = Sotto::start();
    let key = sotto.add_site("a.example", &[]);
    load(&sotto, &key, 150);
    // Once more after a restart, which takes the salt over from who held it.
    sotto.stop();
    sotto.start_again();
    let other = sotto.add_site("b.example", &[]);
    let hit = format!(r#"{{"v":1,"s":"{other}","k":"p","i":"v1","q":0,"u":"https://b.example/"}}"#);
    assert_eq!(sotto.hit(&hit, &[]), 204);
    // The last that happens, so that nothing else overwrites by chance what it leaves behind.
    let again = format!(r#"{{"v":1,"s":"{key}","k":"p","i":"again","q":0,"u":"https://a.example/"}}"#);
    assert_eq!(sotto.hit(&again, &[]), 204);
    let before = sotto.salts();
    assert_eq!(before.len(), 2);

    // A salt dies when its day is over, or when its site is removed: the same code, and no midnight to wait for.
    sotto.run(&["site", "remove", &key]);
    wait_for("the death of the salt to be in the ledger", || {
        let lines: Vec<Value> = serde_json::from_str(&sotto.run(&["salts", "ledger", "--json"])).ok()?;
        lines.iter().any(|line| line["event"] == "died").then_some(())
    });
    let alive = sotto.salts();
    let dead: Vec<&Vec<u8>> = before.iter().filter(|salt| !alive.contains(salt)).collect();
    assert_eq!((alive.len(), dead.len()), (1, 1));
    assert!(sotto.run(&["salts", "ledger", "--verify"]).contains("chain intact, 1 salts alive"));

    let processes = [vec![sotto.pid()], sotto.clickhouse_pids()].concat();
    assert!(processes.len() >= 2, "{processes:?}");
    let (found, scanned) = in_memory(sotto.pid(), &alive[0]);
    assert!(found > 0, "the control: the salt that lives is found in {scanned} bytes");
    for pid in &processes {
        let (found, scanned) = in_memory(*pid, dead[0]);
        println!(
            "process {}: {scanned} bytes scanned for the dead salt, found {found} times",
            pid.as_raw_nonzero()
        );
        assert!(scanned > 1 << 20, "process {pid:?} was scanned");
        assert_eq!(found, 0, "a dead salt is in the memory of process {pid:?}");
    }
    let places = places(&sotto);
    assert_eq!(in_files(&places, &alive[0]), Vec::<PathBuf>::new(), "a salt that lives is in no file either");
    assert_eq!(in_files(&places, dead[0]), Vec::<PathBuf>::new());
    println!("{} files scanned", places.len());
}

#[test]
fn scan_finds_what_is_planted_and_no_address_or_user_agent() {
    let sotto = Sotto::start();
    let key = sotto.add_site("a.example", &[]);
    load(&sotto, &key, 60);
    let planted = b"needle of the control 8f1c";
    for place in ["spool/planted", "clickhouse/planted", "planted"] {
        fs::write(sotto.data().join(place), [b"hay".as_slice(), planted, b"hay"].concat()).unwrap();
    }
    fs::write(sotto.ram().join("planted"), planted).unwrap();
    let places = places(&sotto);
    assert_eq!(in_files(&places, planted).len(), 4, "the control");
    assert!(!in_files(&places, b"a.example").is_empty(), "what is stored is found");
    for needle in ["203.0.113.", "needle/7", "Chrome/142", "Mozilla/5.0"] {
        assert_eq!(in_files(&places, needle.as_bytes()), Vec::<PathBuf>::new(), "{needle}");
    }
    // In the memory of the database nothing of a visitor's address or user agent has any business at all.
    for pid in sotto.clickhouse_pids() {
        assert!(in_memory(pid, b"a.example").0 > 0, "the control");
        for needle in ["203.0.113.", "needle/7"] {
            assert_eq!(in_memory(pid, needle.as_bytes()).0, 0, "{needle} in the database's memory");
        }
    }
    for place in ["spool/planted", "clickhouse/planted", "planted"] {
        fs::remove_file(sotto.data().join(place)).unwrap();
    }
}
