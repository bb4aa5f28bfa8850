//! A salt dies at its moment, whatever becomes of the program: stopped or killed, with the kernel's keyring or with the
//! keeper. Every search is first shown able to find what is there.

use std::path::PathBuf;

use jiff::{ToSpan, tz::TimeZone};
use rustix::process::Pid;
use serde_json::Value;
use sotto_tests::{Noon, Sotto, command_line, is_alive, keyring_works, processes, wait_for};

use crate::memory;

/// How long before its salt's death a program is stopped, in seconds; the longer one on a busy machine.
const LEADS: [i64; 3] = [8, 20, 60];

/// How the program ends.
#[derive(Debug, Clone, Copy, PartialEq)]
enum End {
    Stop,
    Kill,
}

fn end(sotto: &mut Sotto, how: End) {
    match how {
        End::Stop => sotto.stop(),
        End::Kill => sotto.kill(),
    }
}

/// What can hold salts on this machine while the program does not run.
fn holders() -> Vec<&'static str> {
    if keyring_works() { vec!["keyring", "keeper"] } else { vec!["keeper"] }
}

fn held_by(means: &str) -> (Sotto, String) {
    let sotto = Sotto::start_with(&format!("[salts]\nheld_by = \"{means}\"\n"));
    let key = sotto.add_site("a.example", &[]);
    (sotto, key)
}

fn view(sotto: &Sotto, key: &str, view: &str) {
    let hit = format!(r#"{{"v":1,"s":"{key}","k":"p","i":"{view}","q":0,"u":"https://a.example/{view}"}}"#);
    assert_eq!(sotto.hit(&hit, &[]), 204);
}

/// Seconds from now to the death of the salt of a site in the zone of `noon`.
fn seconds_to_death(noon: &Noon) -> i64 {
    let midnight = noon.today.tomorrow().unwrap().to_zoned(TimeZone::get(&noon.zone).unwrap()).unwrap();
    let death = midnight.timestamp() + 30.minutes();
    death.as_second() - sotto_schema::clock::now().as_second()
}

/// Lets the program's clock, and no other, show the time some seconds from now.
fn set_clock(sotto: &mut Sotto, away: i64) {
    let library = ["x86_64", "aarch64"].map(|m| format!("/usr/lib/{m}-linux-gnu/faketime/libfaketime.so.1"));
    let library =
        library.into_iter().find(|path| PathBuf::from(path).exists()).expect("faketime is installed");
    sotto.with_environment(&[
        ("LD_PRELOAD", library),
        ("FAKETIME", format!("{away:+}")),
        ("FAKETIME_DONT_FAKE_MONOTONIC", "1".into()),
    ]);
}

/// The processes of the program, its database and its keeper, of this installation or another, in whose memory a salt
/// is.
fn in_any_memory(salt: &[u8]) -> Vec<Pid> {
    let program = sotto_tests::program().display().to_string();
    let ours = processes().into_iter().filter(|pid| command_line(*pid).starts_with(&program));
    ours.filter(|pid| memory::is_in_memory(*pid, salt)).collect()
}

/// A program with a salt that was started `lead` seconds before the salt's death and has ended; `None` if that took longer.
fn ended_before_the_death(means: &str, how: End, lead: i64) -> Option<(Sotto, String, Vec<u8>)> {
    let noon = Noon::now();
    let (mut sotto, key) = held_by(means);
    view(&sotto, &key, "v1");
    let salts = sotto.salts();
    let [salt] = salts.as_slice() else { panic!("one salt: {}", salts.len()) };
    if how == End::Kill {
        // A stop writes it; a kill within the first seconds would not, and no ledger would know of this salt.
        wait_for("its birth in the ledger", || {
            (sotto.run(&["salts", "ledger", "--json"]).contains("born")).then_some(())
        });
    }
    end(&mut sotto, how);
    assert_eq!(sotto.salts(), salts, "the control: the salt outlives the program");
    set_clock(&mut sotto, seconds_to_death(&noon) - lead);
    sotto.start_again();
    end(&mut sotto, how);
    (sotto.salts() == salts).then(|| (sotto, key, salt.clone()))
}

/// A salt is held by `means` when the program ends, and nowhere when its moment has passed.
fn check_death(means: &str, how: End) {
    // On a busy machine the first may be too late; its salt is gone then.
    let ended = LEADS.into_iter().find_map(|lead| ended_before_the_death(means, how, lead));
    let (mut sotto, key, salt) = ended.expect("a program that starts and ends within a minute");
    let (salt, salts) = (&salt, vec![salt.clone()]);
    let keys = sotto.keys();
    let keeper = sotto.keeper_pid();
    match means {
        "keeper" => {
            assert_eq!((keys.len(), sotto.kept()), (0, salts.clone()));
            assert_eq!(
                in_any_memory(salt),
                [keeper.unwrap()],
                "the control: its keeper has it, and nobody else"
            );
        }
        _ => {
            assert_eq!((keys.len(), keeper), (1, None));
            assert_eq!(in_any_memory(salt), [], "no process has it");
        }
    }

    wait_for("the death of the salt", || sotto.salts().is_empty().then_some(()));
    for (key, _) in keys {
        let mut bytes = [0; 32];
        assert!(key.read(&mut bytes).is_err(), "the kernel gives it to nobody: {bytes:?}");
    }
    wait_for("the end of the keeper", || (!keeper.is_some_and(is_alive)).then_some(()));
    assert_eq!(in_any_memory(salt), [], "{means} {how:?}: in the memory of a process");
    assert_eq!(memory::in_files(&memory::places(&sotto), salt), Vec::<PathBuf>::new(), "{means} {how:?}");

    // The next run tells the ledger, and does not make it again: its hits are of other visitors.
    sotto.with_environment(&[]);
    sotto.start_again();
    view(&sotto, &key, "v2");
    assert!(!sotto.salts().contains(salt));
    assert_eq!(visitors(&sotto, &key, 2), 2, "{means} {how:?}");
    sotto.stop();
    assert!(sotto.run(&["salts", "ledger", "--json"]).contains("died"));
    assert!(sotto.run(&["salts", "ledger", "--verify"]).contains("chain intact, 1 salts alive"));
}

/// How many visitors `views` page views are of.
fn visitors(sotto: &Sotto, key: &str, views: u64) -> u64 {
    sotto.wait_for_pageviews(key, views);
    sotto.report(key, &["--metrics", "visitors"])[0]["visitors"].as_u64().unwrap()
}

#[test]
fn salt_in_the_kernels_keyring_dies_on_time_after_a_stop_and_after_a_kill() {
    // Where the keyring is forbidden, the keeper is tried alone, below.
    for means in holders().into_iter().filter(|means| *means == "keyring") {
        check_death(means, End::Stop);
        check_death(means, End::Kill);
    }
}

#[test]
fn salt_with_the_keeper_dies_on_time_after_a_stop_and_after_a_kill() {
    check_death("keeper", End::Stop);
    check_death("keeper", End::Kill);
}

#[test]
fn restart_and_kill_within_the_day_keep_the_salt_and_its_visitors() {
    for means in [&holders()[..], &["memory"]].concat() {
        let (mut sotto, key) = held_by(means);
        view(&sotto, &key, "v1");
        let salts = sotto.salts();
        sotto.stop();
        sotto.start_again();
        view(&sotto, &key, "v2");
        sotto.wait_for_pageviews(&key, 2);
        // Before the ledger was told of it: it is told all the same.
        sotto.kill();
        sotto.start_again();
        view(&sotto, &key, "v3");
        let expected = if means == "memory" { (0, 3) } else { (1, 1) };
        assert_eq!((salts.len(), visitors(&sotto, &key, 3)), expected, "{means}");
        assert_eq!(sotto.salts(), salts, "{means}");
        sotto.stop();
        assert!(
            sotto.run(&["salts", "ledger", "--verify"]).contains("chain intact, 1 salts alive"),
            "{means}"
        );
    }
}

#[test]
fn whoever_ends_the_keeper_has_destroyed_the_salts() {
    let (mut sotto, key) = held_by("keeper");
    view(&sotto, &key, "v1");
    let salts = sotto.salts();
    let keeper = sotto.keeper_pid().expect("it runs");
    sotto.stop();
    assert_eq!(in_any_memory(&salts[0]), [keeper], "the control");
    rustix::process::kill_process(keeper, rustix::process::Signal::KILL).unwrap();
    wait_for("the end of the keeper", || (!is_alive(keeper)).then_some(()));
    assert_eq!((in_any_memory(&salts[0]), sotto.salts().len()), (vec![], 0));
    // It is replaced, and the socket that it left behind.
    sotto.start_again();
    view(&sotto, &key, "v2");
    assert_eq!(sotto.salts().len(), 1);
    assert_ne!(sotto.salts(), salts);
}

#[test]
fn doctor_and_log_name_who_holds_the_salts() {
    let known = [("keyring", "kernel keyring"), ("keeper", "keeper process"), ("memory", "memory only")];
    let (held, first) = (holders(), known.iter().find(|(means, _)| *means == holders()[0]).unwrap().1);
    let here = known.into_iter().filter(|(means, _)| *means == "memory" || held.contains(means));
    for (means, name) in here.chain([("auto", first)]) {
        let (sotto, _key) = held_by(means);
        assert!(sotto.log().contains(name), "{means}: {}", sotto.log());
        let checks: Vec<Value> = serde_json::from_str(&sotto.run(&["doctor", "--json"])).unwrap();
        let check = checks.iter().find(|check| check["check"] == "salts").unwrap();
        assert_eq!(
            (&check["result"], check["found"].as_str()),
            (&"ok".into(), Some(&*format!("held by: {name}")))
        );
    }
    let (ok, said) =
        held_by("auto").0.try_run(&["--config", "/dev/stdin", "doctor"], "[salts]\nheld_by = \"disk\"\n");
    assert!(!ok && said.contains("keyring") && said.contains("held_by"), "{said}");
}

#[test]
fn salt_that_is_overdue_is_destroyed_at_the_start() {
    let noon = Noon::now();
    let (mut sotto, key) = held_by(holders()[0]);
    view(&sotto, &key, "v1");
    assert_eq!(sotto.salts().len(), 1);
    sotto.stop();
    assert_eq!(sotto.salts().len(), 1, "the control");
    // As after a clock that was wrong.
    let away = seconds_to_death(&noon) + 5;
    set_clock(&mut sotto, away);
    sotto.start_again();
    assert_eq!(sotto.salts().len(), 0);
}
