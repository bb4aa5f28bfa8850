//! What a backup may make of a database: tables that ClickHouse keeps in its own files, and the views between them.
//!
//! A backup holds the statements that make its tables, and whoever made it chose them: a table of the engine `URL` or `MySQL`
//! would ask a stranger's server for the accounts. ClickHouse restores such a table without a question (tried with
//! version 26.7), so they are looked at before it is asked.

use std::{fs, io, path::Path};

/// Engines that keep their rows in the server's directory.
const ENGINES: [&str; 3] = ["MERGETREE", "REPLACINGMERGETREE", "SUMMINGMERGETREE"];
/// What our tables do not have: rows from elsewhere, files elsewhere, another user's rights.
const FOREIGN: [&str; 9] =
    ["AS", "FROM", "JOIN", "DISK", "VOLUME", "STORAGE_POLICY", "DEFINER", "DICTIONARY", "REFRESH"];
/// The same of views, which read from a table.
const FOREIGN_TO_VIEWS: [&str; 8] =
    ["ENGINE", "JOIN", "UNION", "POPULATE", "DEFINER", "DICTIONARY", "REFRESH", "SETTINGS"];

/// Looks at the statements of an unpacked backup.
///
/// # Errors
/// When one of them makes something else than a database or table of ours, or it cannot be read.
pub fn check(dir: &Path) -> io::Result<()> {
    let foreign = |path: &Path| {
        let name = path.strip_prefix(dir).unwrap_or(path).display().to_string();
        io::Error::new(
            io::ErrorKind::InvalidData,
            format!("{name:?} is none of Sotto's tables; nothing was restored"),
        )
    };
    let metadata = dir.join("metadata");
    for entry in fs::read_dir(&metadata)? {
        let path = entry?.path();
        let is_ours = match path.file_name().and_then(|name| name.to_str()) {
            Some("sotto") => path.is_dir(),
            Some("sotto.sql") => is_our_database(&fs::read_to_string(&path)?),
            _ => false,
        };
        if !is_ours {
            return Err(foreign(&path));
        }
    }
    for entry in fs::read_dir(metadata.join("sotto"))? {
        let path = entry?.path();
        let name = path.file_name().and_then(|name| name.to_str()).and_then(|name| name.strip_suffix(".sql"));
        let is_ours = match name {
            Some(name) => is_our_table(name, &fs::read_to_string(&path)?),
            None => false,
        };
        if !is_ours {
            return Err(foreign(&path));
        }
    }
    Ok(())
}

fn is_our_database(statement: &str) -> bool {
    let words = words(statement);
    statement.starts_with("CREATE DATABASE sotto UUID '")
        && words.ends_with(&["ENGINE".into(), "ATOMIC".into()])
        && words.len() == 6
}

/// Whether a statement makes the table or view of that name, and of nothing but the server's own rows.
fn is_our_table(name: &str, statement: &str) -> bool {
    let words = words(statement);
    let has = |foreign: &[&str]| words.iter().any(|word| foreign.contains(&word.as_str()));
    let follow = |word: &str| -> Vec<&[String]> {
        words.iter().enumerate().filter(|(_, w)| *w == word).map(|(n, _)| &words[n + 1..]).collect()
    };
    let is_plain = name.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'_');
    let rest = statement.strip_prefix("CREATE ").unwrap_or_default();
    let begins =
        |with: &str| rest.strip_prefix(with).is_some_and(|r| r.starts_with(&format!(" sotto.{name} UUID '")));
    let is_commented = ["--", "/*", "#"].iter().any(|mark| unquoted(statement).contains(mark));
    if !is_plain || is_commented {
        return false;
    }
    if begins("TABLE") {
        let engines = follow("ENGINE");
        let known = |after: &[String]| after.first().is_some_and(|engine| ENGINES.contains(&engine.as_str()));
        return engines.len() == 1 && engines.into_iter().all(known) && !has(&FOREIGN);
    }
    let own = |after: &[String]| after.first().is_some_and(|word| word == "SOTTO");
    let from = follow("FROM");
    begins("MATERIALIZED VIEW")
        && follow("TO").into_iter().next().is_some_and(own)
        && from.len() == 1
        && from.into_iter().all(own)
        && !has(&FOREIGN_TO_VIEWS)
}

/// The statement with blanks for what stands in quotes.
fn unquoted(statement: &str) -> String {
    let mut quote = None;
    let mut escaped = false;
    let mut out = String::with_capacity(statement.len());
    for c in statement.chars() {
        match quote {
            Some(_) if escaped => escaped = false,
            Some(_) if c == '\\' => escaped = true,
            Some(end) if c == end => quote = None,
            Some(_) => {}
            None if matches!(c, '\'' | '"' | '`') => quote = Some(c),
            None => {
                out.push(c);
                continue;
            }
        }
        out.push(' ');
    }
    out
}

/// The words outside of quotes, in capitals.
fn words(statement: &str) -> Vec<String> {
    let text = unquoted(statement).to_uppercase();
    let words = text.split(|c: char| !(c.is_alphanumeric() || c == '_')).filter(|word| !word.is_empty());
    words.map(str::to_owned).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn statement_makes_a_table_of_the_servers_own_rows_or_is_refused() {
        let table =
            |rest: &str| format!("CREATE TABLE sotto.hooks UUID '0-1' (`id` UInt64, `from` String) {rest}");
        let view = |rest: &str| format!("CREATE MATERIALIZED VIEW sotto.hooks UUID '0-1' {rest}");
        for (statement, ours) in [
            (table("ENGINE = MergeTree ORDER BY id SETTINGS index_granularity = 8192"), true),
            (table("ENGINE = ReplacingMergeTree(version, deleted) ORDER BY id TTL toDateTime(id)"), true),
            (table("ENGINE = MergeTree ORDER BY id COMMENT 'from the disk of \\' ENGINE = URL'"), true),
            (table("ENGINE = URL('http://evil.example/', 'CSV')"), false),
            (table("ENGINE = MySQL('evil.example:3306', 'a', 'b', 'c', 'd')"), false),
            (table("ENGINE = File('CSV')"), false),
            (table("ENGINE = Executable('evil.sh', 'CSV')"), false),
            (table("ENGINE = Distributed('c', 'd', 'e')"), false),
            (table("COMMENT 'ENGINE = MergeTree' ENGINE = Memory"), false),
            (
                table("ENGINE = MergeTree ORDER BY id SETTINGS disk = disk(type = 'web', endpoint = 'x')"),
                false,
            ),
            (table("ENGINE = MergeTree ORDER BY id SETTINGS storage_policy = 'x'"), false),
            (table("ENGINE = MergeTree ORDER BY id TTL toDateTime(id) TO VOLUME 'x'"), false),
            (table("ENGINE = MergeTree ORDER BY id AS SELECT * FROM url('http://evil.example/')"), false),
            (table("AS url('http://evil.example/', 'CSV')"), false),
            (table("/* ENGINE = MergeTree */ ENGINE = URL('x')"), false),
            (table("-- ENGINE = MergeTree\nENGINE = URL('x')"), false),
            (table(""), false),
            (view("TO sotto.a (`id` UInt64) AS SELECT id FROM sotto.events WHERE kind = 'from'"), true),
            (view("TO sotto.a (`id` UInt64) AS SELECT id FROM url('http://evil.example/')"), false),
            (view("TO sotto.a (`id` UInt64) AS SELECT id FROM sotto.b JOIN url('x') USING id"), false),
            (
                view(
                    "TO sotto.a (`id` UInt64) DEFINER = default SQL SECURITY DEFINER AS SELECT id FROM sotto.b",
                ),
                false,
            ),
            (view("(`id` UInt64) ENGINE = URL('x') AS SELECT id FROM sotto.events"), false),
            (view("TO evil.a (`id` UInt64) AS SELECT id FROM sotto.events"), false),
            (
                "CREATE TABLE sotto.other UUID '0-1' (`id` UInt64) ENGINE = MergeTree ORDER BY id".into(),
                false,
            ),
            ("CREATE TABLE evil.hooks UUID '0-1' (`id` UInt64) ENGINE = MergeTree ORDER BY id".into(), false),
            ("CREATE DICTIONARY sotto.hooks UUID '0-1' (`id` UInt64) SOURCE(HTTP(url 'x'))".into(), false),
            ("DROP TABLE sotto.hooks".into(), false),
            (String::new(), false),
        ] {
            assert_eq!(is_our_table("hooks", &statement), ours, "{statement}");
        }
        for (statement, ours) in [
            ("CREATE DATABASE sotto UUID '0-1' ENGINE = Atomic", true),
            ("CREATE DATABASE sotto UUID '0-1' ENGINE = MySQL('evil.example', 'a', 'b', 'c')", false),
            ("CREATE DATABASE sotto UUID '0-1' ENGINE = Atomic COMMENT 'x' ENGINE = Atomic", false),
            ("CREATE DATABASE evil UUID '0-1' ENGINE = Atomic", false),
        ] {
            assert_eq!(is_our_database(statement), ours, "{statement}");
        }
        assert!(!is_our_table("../hooks", "CREATE TABLE sotto.../hooks UUID '0-1' () ENGINE = MergeTree"));
    }
}
