//! `make bench-commands`: how long every command takes that touches all events of a site, and how much memory at most: its
//! own, and that of the embedded ClickHouse which works for it.

use std::{
    fs,
    io::{Read as _, Seek as _},
    path::Path,
    process::{Command, Stdio},
    time::{Duration, Instant},
};

use rustix::process::Pid;
use sotto_tests::{children, program};

use crate::{
    process::memory_mb,
    reports::{Place, Size},
};

/// How often a process is asked for its memory; the peak is its own and misses nothing but its last moments.
const LOOK: Duration = Duration::from_millis(20);
/// Days of the site.
const DAYS: i32 = 90;
/// Days that are exported into a file and imported again: their lines take as much room as they do elsewhere.
const DAYS_OF_FILE: i32 = 9;

/// One command's line of the table.
struct Measured {
    seconds: f64,
    own_mb: f64,
    server_mb: f64,
    /// The last line of what it said when it failed.
    failed: Option<String>,
}

/// Measures all commands on a site of so many events.
pub fn run(events: u64) {
    let place = Place::new("", 760);
    let size = Size { events, days: DAYS };
    let began = Instant::now();
    place.fill(&size);
    println!(
        "{} events in {DAYS} days, filled in {:.0} s",
        place.ask("SELECT count() FROM events", &[]),
        began.elapsed().as_secs_f64()
    );
    let dir = tempfile::tempdir().expect("a directory");
    let path = |name: &str| dir.path().join(name).display().to_string();
    let [file, archive, restored] = ["part.jsonl", "backup.tar.age", "restored"].map(path);
    let other = place.sotto.add_site("other.example", &["--retention-days", "760"]);
    let day = |age: i32| size.first_day().saturating_add(jiff::Span::new().days(age)).to_string();
    let visitor = place.ask("SELECT any(visitor) FROM events WHERE visitor != 0", &[]);
    let key = place.key.as_str();
    println!("{:<44} {:>8} {:>12} {:>14}", "command", "s", "own MB", "ClickHouse MB");
    let beside: [&[&str]; 9] = [
        &["export", key],
        &["export", key, "--from", &day(0), "--to", &day(DAYS_OF_FILE - 1), "--out", &file],
        &["import", &file, "--from", "sotto", "--site", &other],
        &["privacy", "export", key, "--visitor", &visitor],
        &["privacy", "erase", key, "--visitor", &visitor],
        &["report", key, "--from", &day(0), "--to", &day(DAYS - 1), "--by", "page"],
        &["retention", "run", "--dry-run"],
        &["archive", "verify"],
        &["backup", &archive],
    ];
    let server = place.sotto.clickhouse_pids().first().copied();
    for arguments in beside {
        let mut command = place.sotto.command();
        command.args(arguments);
        say(arguments, &measure(command, server));
    }
    let identity = place.sotto.data().join("backup-key.txt").display().to_string();
    let mut command = Command::new(program());
    command.args(["--data", &restored, "restore", &archive, "--identity", &identity]).current_dir(dir.path());
    // It starts a server of its own.
    say(&["restore"], &measure(command, None));
    for (what, path) in [("exported lines of 9 days", &file), ("backup", &archive)] {
        println!("{what}: {:.0} MB", fs::metadata(Path::new(path)).map_or(0, |m| m.len()) as f64 / 1e6);
    }
}

fn say(arguments: &[&str], measured: &Measured) {
    let words: Vec<&str> = arguments.iter().map(|word| word.rsplit('/').next().unwrap_or(word)).collect();
    let mut name = words.join(" ");
    name.truncate(44);
    let Measured { seconds, own_mb, server_mb, failed } = measured;
    let failed = failed.as_ref().map_or_else(String::new, |why| format!("  FAILED: {why}"));
    println!("{name:<44} {seconds:>8.1} {own_mb:>12.0} {server_mb:>14.0}{failed}");
}

/// Runs a command to its end. The peak of the server counts from the command's beginning.
fn measure(mut command: Command, server: Option<Pid>) -> Measured {
    if let Some(server) = server {
        // 5: resets the peak (proc_pid_clear_refs(5)).
        fs::write(format!("/proc/{}/clear_refs", server.as_raw_nonzero()), "5")
            .expect("the peak is reset as root");
    }
    let began = Instant::now();
    let mut said = tempfile::tempfile().expect("a file");
    let stderr = said.try_clone().expect("the file");
    let mut child = command.stdout(Stdio::null()).stderr(stderr).spawn().expect("the program");
    let (pid, mut own_mb, mut server_mb) = (Pid::from_child(&child), 0.0, 0.0);
    let status = loop {
        own_mb = f64::max(own_mb, memory_mb(pid, "VmHWM"));
        let servers = server.into_iter().chain(children(pid).into_iter().filter(|_| server.is_none()));
        server_mb = servers.map(|pid| memory_mb(pid, "VmHWM")).fold(server_mb, f64::max);
        if let Some(status) = child.try_wait().expect("its status") {
            break status;
        }
        std::thread::park_timeout(LOOK);
    };
    let seconds = began.elapsed().as_secs_f64();
    let mut words = String::new();
    said.rewind().and_then(|()| said.read_to_string(&mut words)).expect("what it said");
    let failed = (!status.success()).then(|| words.lines().last().unwrap_or_default().to_owned());
    Measured { seconds, own_mb, server_mb, failed }
}
