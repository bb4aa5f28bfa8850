//! Backups: that they come back, that nobody reads them without the key, and that a bad one changes nothing.

use std::{
    fs,
    io::Read,
    path::{Path, PathBuf},
    process::Command,
};

use age::secrecy::ExposeSecret;
use memchr::memmem;
use serde_json::Value;
use sotto_tests::Sotto;

/// A host name that nothing else has in it.
const PLANTED: &str = "planted-hostname-7f3a.example";

/// A running sotto with a site of some visits; its key.
fn with_visits(config: &str) -> (Sotto, String) {
    let sotto = Sotto::start_with(config);
    let key = sotto.add_site(PLANTED, &["--name", "Shop"]);
    for (n, language) in ["de", "fr", "it"].iter().enumerate() {
        let hit = format!(
            r#"{{"v":1,"s":"{key}","k":"p","i":"v{n}","q":0,"u":"https://{PLANTED}/{language}?utm_campaign=spring"}}"#
        );
        assert_eq!(sotto.hit(&hit, &[("accept-language", language)]), 204);
    }
    sotto.wait_for_pageviews(&key, 3);
    (sotto, key)
}

/// All that the command line reports of a site.
fn reports(sotto: &Sotto, key: &str) -> Vec<Vec<Value>> {
    let dimensions = ["page", "country", "device", "browser", "channel", "utm_campaign"];
    let by = dimensions.map(|by| sotto.report(key, &["--metrics", "visitors,pageviews", "--by", by]));
    let totals = sotto.report(key, &["--metrics", "visitors,visits,pageviews,bounce_rate"]);
    by.into_iter().chain([totals]).collect()
}

/// The only backup in the data directory.
fn only_backup(sotto: &Sotto) -> PathBuf {
    let found: Vec<PathBuf> =
        fs::read_dir(sotto.data().join("backups")).unwrap().map(|e| e.unwrap().path()).collect();
    assert_eq!(found.len(), 1, "{found:?}");
    found.into_iter().next().unwrap()
}

/// What an encrypted backup holds, decrypted apart from Sotto's own code.
fn decrypted(sealed: &[u8], key_file: &Path) -> Vec<u8> {
    let text = fs::read_to_string(key_file).unwrap();
    let identity: age::x25519::Identity = text.lines().last().unwrap().parse().unwrap();
    let mut plain = Vec::new();
    let opened = age::Decryptor::new(sealed).unwrap();
    let mut opened = opened.decrypt(std::iter::once(&identity as &dyn age::Identity)).unwrap();
    opened.read_to_end(&mut plain).unwrap();
    plain
}

#[test]
fn wiped_sotto_comes_back_from_its_backup_with_the_same_reports() {
    let (mut sotto, key) = with_visits("");
    let before = reports(&sotto, &key);
    assert!(before.iter().all(|report| !report.is_empty()), "{before:?}");
    let said = sotto.run(&["backup"]);
    let key_file = sotto.data().join("backup-key.txt");
    assert!(said.contains(&key_file.display().to_string()) && said.contains("without it the backup is lost"));
    let safe = tempfile::tempdir().unwrap();
    let (kept, identity) = (safe.path().join("kept.tar.age"), safe.path().join("key"));
    fs::copy(only_backup(&sotto), &kept).unwrap();
    fs::copy(&key_file, &identity).unwrap();
    sotto.stop();
    fs::remove_dir_all(sotto.data()).unwrap();
    // A restore that was killed left something behind.
    let killed = sotto.data().join("clickhouse/restoring/store/half");
    fs::create_dir_all(&killed).unwrap();
    let (kept, identity) = (kept.display().to_string(), identity.display().to_string());
    sotto.run(&["restore", &kept, "--identity", &identity]);
    assert!(!sotto.data().join("clickhouse/restoring").exists());
    assert_eq!(reports(&sotto, &key), before, "of the restored files");
    sotto.start_again();
    assert_eq!(reports(&sotto, &key), before, "of the running program");
    let (ok, out) = sotto.try_run(&["restore", &kept, "--identity", &identity], "");
    assert!(!ok && out.contains("has a database already"), "{out}");
}

#[test]
fn backup_tells_nothing_without_the_key_and_the_key_is_not_in_it() {
    let (mut sotto, key) = with_visits("");
    // Of a backup that was killed: not encrypted.
    let left = sotto.data().join("clickhouse/backups/backup.tar");
    sotto.stop();
    fs::create_dir_all(left.parent().unwrap()).unwrap();
    fs::write(&left, b"plain").unwrap();
    sotto.start_again();
    assert!(!left.exists(), "it is gone with the next start");
    sotto.run(&["backup"]);
    assert!(!left.exists(), "what the server wrote is gone with the end of the command");
    let key_file = sotto.data().join("backup-key.txt");
    let secret = fs::read_to_string(&key_file).unwrap().lines().last().unwrap().to_owned();
    assert!(secret.starts_with("AGE-SECRET-KEY-1"));
    let sealed = fs::read(only_backup(&sotto)).unwrap();
    let plain = decrypted(&sealed, &key_file);
    let holds = |bytes: &[u8], text: &str| memmem::find(bytes, text.as_bytes()).is_some();
    for text in [PLANTED, "Shop", "pageviews", "ustar", "events"] {
        assert!(!holds(&sealed, text), "{text}");
    }
    assert!(holds(&plain, PLANTED) && holds(&plain, "ustar"), "the scan finds what is there");
    for part in [&secret[..], &secret[16..], &secret.to_lowercase(), "backup-key"] {
        assert!(!holds(&plain, part), "the key is in the backup: {part:.8}");
    }
    let mut archive = tar::Archive::new(&plain[..]);
    let names: Vec<String> =
        archive.entries().unwrap().map(|e| e.unwrap().path().unwrap().display().to_string()).collect();
    assert!(
        names
            .iter()
            .all(|name| name == ".backup" || name.starts_with("metadata/") || name.starts_with("data/")),
        "{names:?}"
    );
    assert!(!sotto.log().contains(&secret[16..]));
    // An archive of the time before backups were encrypted is still read, and needs no key.
    let dir = tempfile::tempdir().unwrap();
    let (old, data) = (dir.path().join("old.tar"), dir.path().join("data").display().to_string());
    fs::write(&old, &plain).unwrap();
    sotto.run(&["--data", &data, "restore", &old.display().to_string()]);
    let report = sotto.run(&["--data", &data, "report", &key, "--metrics", "pageviews", "--json"]);
    let report: Value = serde_json::from_str(&report).unwrap();
    assert_eq!(report[0]["pageviews"], 3);
}

#[test]
fn wrong_key_or_broken_backup_is_refused_and_changes_nothing() {
    let (sotto, _) = with_visits("");
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("backup.tar.age");
    sotto.run(&["backup", &file.display().to_string()]);
    let key = sotto.data().join("backup-key.txt");
    let whole = fs::read(&file).unwrap();
    let plain = decrypted(&whole, &key);
    let flipped = |at: usize| {
        let mut bytes = whole.clone();
        bytes[at] ^= 1;
        bytes
    };
    let (none, wrong, empty) = (dir.path().join("none"), dir.path().join("wrong"), dir.path().join("empty"));
    fs::write(&wrong, age::x25519::Identity::generate().to_string().expose_secret()).unwrap();
    fs::write(&empty, "# no key\n").unwrap();
    let cases: [(&str, &[u8], &Path, &str); 11] = [
        ("wrong key", &whole, &wrong, "was not made for the key in"),
        ("no key", &whole, &none, "give the key with --identity"),
        ("file without a key", &whole, &empty, "holds no secret key"),
        ("half", &whole[..whole.len() / 2], &key, "cut off or was changed"),
        ("without its last byte", &whole[..whole.len() - 1], &key, "cut off or was changed"),
        ("changed in the middle", &flipped(whole.len() / 2), &key, "cut off or was changed"),
        ("changed at the end", &flipped(whole.len() - 1), &key, "cut off or was changed"),
        ("changed at the beginning", &flipped(0), &key, "is no backup"),
        ("empty", b"", &key, "is no backup"),
        ("half of an old one", &plain[..plain.len() / 2], &key, "cut off or was changed"),
        ("first block of an old one", &plain[..512], &key, "cut off or was changed"),
    ];
    let broken = dir.path().join("broken");
    let data = dir.path().join("data");
    fs::create_dir_all(&data).unwrap();
    fs::write(data.join("notes.txt"), "mine").unwrap();
    for (what, bytes, identity, part) in cases {
        fs::write(&broken, bytes).unwrap();
        let [data_, broken, identity] = [&data, &broken, identity].map(|path| path.display().to_string());
        let (ok, out) = sotto.try_run(&["--data", &data_, "restore", &broken, "--identity", &identity], "");
        assert!(!ok && out.contains(part), "{what}: {out}");
        let mut left: Vec<_> = fs::read_dir(&data).unwrap().map(|e| e.unwrap().file_name()).collect();
        left.retain(|name| name != "lock");
        assert_eq!(left, ["notes.txt"], "{what}");
    }
    fs::write(&broken, &whole).unwrap();
    let [data, broken, key] = [&data, &broken, &key].map(|path| path.display().to_string());
    sotto.run(&["--data", &data, "restore", &broken, "--identity", &key]);
}

#[test]
fn backup_for_named_recipients_leaves_no_key_on_the_server() {
    let dir = tempfile::tempdir().unwrap();
    let owners = [age::x25519::Identity::generate(), age::x25519::Identity::generate()];
    let [first, second] = owners.each_ref().map(|key| key.to_public().to_string());
    let (sotto, key) = with_visits(&format!("[backup]\nrecipients = [\"{first}\", \"{second}\"]\n"));
    let file = dir.path().join("backup.tar.age").display().to_string();
    let said = sotto.run(&["backup", &file]);
    assert!(said.contains(&first) && said.contains(&second), "{said}");
    assert!(!sotto.data().join("backup-key.txt").exists());
    for (n, owner) in owners.iter().enumerate() {
        let identity = dir.path().join(format!("key{n}"));
        fs::write(&identity, owner.to_string().expose_secret()).unwrap();
        let data = dir.path().join(format!("data{n}")).display().to_string();
        sotto.run(&["--data", &data, "restore", &file, "--identity", &identity.display().to_string()]);
        let report = sotto.run(&["--data", &data, "report", &key, "--metrics", "pageviews", "--json"]);
        let report: Value = serde_json::from_str(&report).unwrap();
        assert_eq!(report[0]["pageviews"], 3);
    }
}

/// Makes another statement of a table's own.
type Statement<'f> = &'f dyn Fn(&str) -> String;

/// The archive with another statement for one table, in place of its own.
fn with_statement(archive: &[u8], statement: Statement<'_>) -> Vec<u8> {
    let mut files = Vec::new();
    for entry in tar::Archive::new(archive).entries().unwrap() {
        let mut entry = entry.unwrap();
        let path = entry.path().unwrap().display().to_string();
        let mut bytes = Vec::new();
        entry.read_to_end(&mut bytes).unwrap();
        files.push((path, bytes));
    }
    let named = |name: &str| files.iter().position(|(path, _)| path == name).unwrap();
    let (table, list) = (named("metadata/sotto/hooks.sql"), named(".backup"));
    let changed = statement(std::str::from_utf8(&files[table].1).unwrap());
    let sizes = [files[table].1.len(), changed.len()].map(|n| format!("hooks.sql</name><size>{n}<"));
    let text = String::from_utf8(files[list].1.clone()).unwrap();
    assert!(text.contains(&sizes[0]), "{text}");
    files[list].1 = text.replace(&sizes[0], &sizes[1]).into_bytes();
    files[table].1 = changed.into_bytes();
    let mut out = tar::Builder::new(Vec::new());
    for (path, bytes) in files {
        let mut header = tar::Header::new_gnu();
        header.set_mode(0o600);
        header.set_size(bytes.len() as u64);
        out.append_data(&mut header, path, &bytes[..]).unwrap();
    }
    out.into_inner().unwrap()
}

#[test]
fn backup_with_a_table_of_another_server_is_refused_and_changes_nothing() {
    let (mut sotto, _) = with_visits("");
    sotto.run(&["backup"]);
    let key_file = sotto.data().join("backup-key.txt");
    let plain = decrypted(&fs::read(only_backup(&sotto)).unwrap(), &key_file);
    sotto.stop();
    let own: age::x25519::Identity =
        fs::read_to_string(&key_file).unwrap().lines().last().unwrap().parse().unwrap();
    let columns = |statement: &str| statement.split(" ENGINE").next().unwrap().to_owned();
    let elsewhere = |engine: &'static str| move |s: &str| format!("{} ENGINE = {engine}", columns(s));
    let hostile: [(&str, Statement<'_>); 4] = [
        ("URL", &elsewhere("URL('http://127.0.0.1:9/', 'CSV')")),
        ("MySQL", &elsewhere("MySQL('127.0.0.1:9', 'a', 'b', 'c', 'd')")),
        ("File", &elsewhere("File('CSV')")),
        ("itself", &|statement| statement.to_owned()),
    ];
    let dir = tempfile::tempdir().unwrap();
    for (name, statement) in hostile {
        let [archive, sealed, data] =
            ["tar", "age", "data"].map(|end| dir.path().join(format!("{name}.{end}")));
        fs::write(&archive, with_statement(&plain, statement)).unwrap();
        sotto_store::backup::sealed::seal(&archive, &[own.to_public()], &sealed).unwrap();
        let restored = Command::new(sotto_tests::program())
            .arg("--data")
            .arg(&data)
            .arg("restore")
            .arg(&sealed)
            .arg("--identity")
            .arg(&key_file)
            .current_dir(dir.path())
            .output()
            .unwrap();
        let said = String::from_utf8_lossy(&restored.stderr);
        if name == "itself" {
            assert!(restored.status.success(), "an archive that was only packed anew: {said}");
        } else {
            assert_eq!(restored.status.code(), Some(1), "{name}: {said}");
            assert!(said.contains("hooks.sql") && said.contains("none of Sotto's tables"), "{name}: {said}");
            assert!(!data.join("clickhouse/store").exists(), "{name}");
        }
    }
}
