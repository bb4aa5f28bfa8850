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
/// Our only view: its name, where its rows go, and what they are.
const VIEW: [&str; 3] = [
    "consent_receipts_view",
    "sotto.consent_receipts",
    "site, receipt, time, granted, refused, gpc, notice_version, consent_source FROM sotto.events \
     WHERE (kind = 'consent') AND (receipt != '')",
];

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
    has_usual_quotes(statement)
        && statement.starts_with("CREATE DATABASE sotto UUID '")
        && words.ends_with(&["ENGINE".into(), "ATOMIC".into()])
        && words.len() == 6
}

/// Whether a statement makes the table or view of that name, and of nothing but the server's own rows.
fn is_our_table(name: &str, statement: &str) -> bool {
    let is_plain = name.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'_');
    let rest = statement.strip_prefix("CREATE ").filter(|_| is_plain && has_usual_quotes(statement));
    let begins = |with: &str| {
        let rest = rest?.strip_prefix(with)?.strip_prefix(&format!(" sotto.{name} UUID '"))?;
        rest.split_once('\'').map(|(_, behind)| behind)
    };
    if let Some(behind) = begins("TABLE") {
        return is_of_own_rows(behind);
    }
    begins("MATERIALIZED VIEW").is_some_and(|behind| is_our_view(name, behind))
}

/// Whether a table's columns and engine are of rows that the server keeps itself.
fn is_of_own_rows(definition: &str) -> bool {
    let words = words(definition);
    let engines: Vec<_> = words.windows(2).filter(|pair| pair[0] == "ENGINE").map(|pair| &pair[1]).collect();
    let plain = unquoted(definition);
    // Settings are names and numbers: a value that is made by a function may be a disk.
    let settings = plain.to_uppercase().find("SETTINGS").map_or("", |at| &definition[at..]);
    matches!(engines[..], [engine] if ENGINES.contains(&engine.as_str()))
        && words.iter().filter(|word| *word == "ENGINE").count() == 1
        && !words.iter().any(|word| FOREIGN.contains(&word.as_str()))
        && !settings.contains(['(', '`', '"', '\''])
}

/// Whether what stands behind a view's name makes our view.
fn is_our_view(name: &str, definition: &str) -> bool {
    let [own, to, select] = VIEW;
    let bare = |text: &str| text.replace([' ', '`', '(', ')'], "");
    let Some((head, rows)) = definition.split_once(" AS SELECT ") else { return false };
    let columns = head.strip_prefix(" TO ").and_then(|head| head.strip_prefix(to));
    let is_list = |columns: &str| columns.starts_with(" (") && columns.ends_with(')');
    let options = ["ENGINE", "POPULATE", "DEFINER", "REFRESH", "SECURITY", "SETTINGS"];
    name == own
        && columns.is_some_and(is_list)
        && !words(head).iter().any(|word| options.contains(&word.as_str()))
        && bare(rows) == bare(select)
}

/// Whether nothing stands outside of quotes that would begin a comment or quote in another way (`$$`, typographic quotes), and
/// so hide a part of the statement from us.
fn has_usual_quotes(statement: &str) -> bool {
    let plain = unquoted(statement);
    plain.is_ascii() && !["--", "/*", "#", "$"].iter().any(|mark| plain.contains(mark))
}

/// The statement with blanks for the bytes that stand in quotes.
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
        out.extend(std::iter::repeat_n(' ', c.len_utf8()));
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
            (table("ENGINE = MergeTree ORDER BY id SETTINGS `disk` = `disk`(type = 'web')"), false),
            (table("ENGINE = MergeTree ORDER BY id SETTINGS index_granularity = 1, x = 'y'"), false),
            (table("COMMENT $$ ' $$ ENGINE = URL('x') COMMENT $$ ' $$ ENGINE = MergeTree"), false),
            (table("COMMENT ‘ ' ’ ENGINE = URL(‘x’) COMMENT ‘ ' ’ ENGINE = MergeTree"), false),
            (table("ENGINE = `URL`('x') ORDER BY MergeTree"), false),
            (table("COMMENT 'ü ‘quoted’ $$ # --' ENGINE = MergeTree ORDER BY id SETTINGS a = 1"), true),
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
            (
                "CREATE DATABASE sotto UUID '0-1' COMMENT $$ ' $$ ENGINE = MySQL('x') COMMENT $$ '$$ ENGINE = Atomic",
                false,
            ),
            ("CREATE DATABASE sotto UUID '0-1' ENGINE = MySQL('evil.example', 'a', 'b', 'c')", false),
            ("CREATE DATABASE sotto UUID '0-1' ENGINE = Atomic COMMENT 'x' ENGINE = Atomic", false),
            ("CREATE DATABASE evil UUID '0-1' ENGINE = Atomic", false),
        ] {
            assert_eq!(is_our_database(statement), ours, "{statement}");
        }
        assert!(!is_our_table("../hooks", "CREATE TABLE sotto.../hooks UUID '0-1' () ENGINE = MergeTree"));
    }
    #[test]
    fn only_our_own_view_is_made() {
        let select = "SELECT site, receipt, time, granted, refused, gpc, notice_version, consent_source";
        let rows = "WHERE (kind = 'consent') AND (receipt != '')";
        let view =
            |rest: &str| ["CREATE MATERIALIZED VIEW sotto.consent_receipts_view UUID '0-1'", rest].concat();
        let of = |from: &str| {
            view(&[" TO sotto.consent_receipts (`site` UInt64) AS ", select, from, rows].concat())
        };
        for (statement, ours) in [
            (of(" FROM sotto.events "), true),
            (of(" FROM url('http://evil.example/') "), false),
            (of(" FROM sotto.events, url('http://evil.example/') "), false),
            (of(" FROM `url`('http://evil.example/') sotto "), false),
            (of(" FROM sotto.users "), false),
            (view(&[" TO evil.a (`site` UInt64) AS ", select, " FROM sotto.events ", rows].concat()), false),
            (
                view(
                    &[" (`site` UInt64) ENGINE = URL('x') AS ", select, " FROM sotto.events ", rows].concat(),
                ),
                false,
            ),
            (
                view(
                    &[
                        " TO sotto.consent_receipts (`site` UInt64) DEFINER = a SQL SECURITY DEFINER AS ",
                        select,
                        " FROM sotto.events ",
                        rows,
                    ]
                    .concat(),
                ),
                false,
            ),
        ] {
            assert_eq!(is_our_table("consent_receipts_view", &statement), ours, "{statement}");
            assert!(!is_our_table("other_view", &statement.replace("consent_receipts_view", "other_view")));
        }
    }
}
