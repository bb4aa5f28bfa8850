//! `sotto export` and `import`

use std::{
    collections::HashSet,
    fs::{File, OpenOptions},
    io::{self, BufRead, BufReader, Seek as _, SeekFrom, Write},
    path::{Path, PathBuf},
    time::Instant,
};

use bytes::Bytes;
use clap::ValueEnum;
use serde::Deserialize;
use sotto_schema::{
    day::Day,
    event::Field,
    id::{ReturningId, SiteId, UserId, VisitorKey},
};
use sotto_store::{
    audit::{self, Action},
    db::{Databases, Db, shard_of},
    sites,
};

mod pieces;

use super::{output::say, progress::Progress, site::find};
use crate::failure::Failure;

/// Maximum number of lines imported at once.
const IMPORT_LINES: usize = 20_000;
/// The longest line of an import, in bytes.
const LINE_BYTES_MAX: usize = 1 << 20;

/// `sotto export`
#[derive(Debug, clap::Args)]
pub struct ExportArgs {
    /// Key, name or host name of the site
    site: String,
    /// First day, like 2026-11-01
    #[arg(long, default_value = "1970-01-01")]
    from: String,
    /// Last day
    #[arg(long, default_value = "2149-01-01")]
    to: String,
    /// Write to this file instead of standard output. If it exists, go on with the last day in it
    #[arg(long, value_name = "FILE")]
    out: Option<PathBuf>,
}

/// `sotto import`
#[derive(Debug, clap::Args)]
pub struct ImportArgs {
    /// The file
    file: PathBuf,
    /// What wrote it
    #[arg(long, value_enum)]
    from: ImportKind,
    /// Site that the events are for (key, name or host name); default: the one they were exported from
    #[arg(long)]
    site: Option<String>,
}

/// What wrote a file that is imported.
#[derive(Debug, Clone, Copy, ValueEnum)]
enum ImportKind {
    /// `sotto export`
    Sotto,
}

/// Prints the events found by a query for one site and visitor (key or id; 0 for none), as JSON lines.
pub async fn print_lines(
    databases: &Databases,
    sql: &str,
    site: SiteId,
    visitor: VisitorKey,
    returning: ReturningId,
) -> Result<(), Failure> {
    let query = databases.reader.of_site(site).query(sql).param("site", site);
    let query = query.param("visitor", visitor).param("returning", returning);
    write_lines(query, &mut io::stdout().lock()).await?.map_err(|e| Failure::output(&e))
}

/// Writes the rows of a query as JSON lines, as they come. The inner error is that of `out`.
async fn write_lines(
    query: clickhouse::query::Query,
    out: &mut impl Write,
) -> Result<io::Result<()>, Failure> {
    let query = query
        .with_setting("output_format_json_escape_forward_slashes", "0")
        .with_setting("max_block_size", pieces::BLOCK_ROWS);
    let mut cursor = query.fetch_bytes("JSONEachRow")?;
    while let Some(bytes) = cursor.next().await? {
        if let Err(error) = out.write_all(&bytes) {
            return Ok(Err(error));
        }
    }
    Ok(out.flush())
}

/// Opens a file to go on with an export of `site`: behind it, the day to begin with is written anew. `None` if it holds no
/// day yet.
///
/// # Errors
/// When it cannot be read or made, or holds something else.
fn open_export(path: &Path, site: SiteId) -> Result<(File, Option<Day>), Failure> {
    let failed = |e: io::Error| Failure::file(path, &e);
    let mut file =
        OpenOptions::new().read(true).write(true).create(true).truncate(false).open(path).map_err(failed)?;
    let (mut lines, mut line) = (BufReader::new(&file), Vec::new());
    let (mut at, mut last) = (0, None);
    loop {
        line.clear();
        let bytes = lines.read_until(b'\n', &mut line).map_err(failed)? as u64;
        // The end of a line that was cut off is of the last day, or of the next one, which begins there.
        if line.last() != Some(&b'\n') {
            break;
        }
        let day = day_of_line(&line, site).ok_or_else(|| {
            Failure::usage(format!("{} is no export of this site: name another file", path.display()))
        })?;
        if last.is_none_or(|(known, _)| known != day) {
            last = Some((day, at));
        }
        at += bytes;
    }
    drop(lines);
    let begin = last.map_or(0, |(_, begin)| begin);
    file.set_len(begin).map_err(failed)?;
    file.seek(SeekFrom::Start(begin)).map_err(failed)?;
    Ok((file, last.map(|(day, _)| day)))
}

/// The day of a line of an export, if it is one of this site.
fn day_of_line(line: &[u8], site: SiteId) -> Option<Day> {
    #[derive(Deserialize)]
    struct Line<'a> {
        site: serde_json::Value,
        day: &'a str,
    }
    let line: Line<'_> = serde_json::from_slice(line).ok()?;
    let is_ours = line.site == site.to_string() || line.site == site.0;
    line.day.parse().ok().map(Day::of).filter(|_| is_ours)
}

/// Runs `sotto export`: in pieces, in the order of the table, so that its memory does not depend on how much there is.
pub async fn export(args: ExportArgs, databases: &Databases) -> Result<(), Failure> {
    let site = find(&databases.reader, &args.site).await?;
    let day = |key: &str, text: &str| {
        let date = text.parse::<jiff::civil::Date>();
        date.map(Day::of)
            .map_err(|_| Failure::usage(format!("{key} = {text:?}, but it must be a day like 2026-11-01")))
    };
    let (mut from, to) = (day("--from", &args.from)?, day("--to", &args.to)?);
    if from > to {
        return Err(Failure::usage(format!("--from = {} is after --to = {}", args.from, args.to)));
    }
    let Some(path) = &args.out else {
        let mut out = io::stdout().lock();
        return export_days(databases, site.id, (from, to), &mut out).await?.map_err(|e| Failure::output(&e));
    };
    let (file, last) = open_export(path, site.id)?;
    from = from.max(last.unwrap_or(from));
    let mut out = io::BufWriter::new(file);
    export_days(databases, site.id, (from, to), &mut out).await?.map_err(|e| Failure::file(path, &e))?;
    out.into_inner()
        .map_err(io::IntoInnerError::into_error)
        .and_then(|file| file.sync_all())
        .map_err(|e| Failure::file(path, &e))
}

/// Writes the events of some days; the inner error is that of `out`.
async fn export_days(
    databases: &Databases,
    site: SiteId,
    (from, to): (Day, Day),
    out: &mut impl Write,
) -> Result<io::Result<()>, Failure> {
    let db = databases.reader.of_site(site);
    let days = pieces::days(&db, site, (from, to)).await?;
    let mut progress = Progress::new("events", days.iter().map(|day| day.events).sum());
    let (mut done, mut lines) = (0, Vec::new());
    for day in days {
        for piece in day.pieces() {
            pieces::read(&db, (site, day.day), &piece, &mut lines).await?;
            if let Err(error) = out.write_all(&lines) {
                return Ok(Err(error));
            }
            done += lines.iter().filter(|byte| **byte == b'\n').count() as u64;
            progress.show(done, Instant::now());
        }
    }
    Ok(out.flush())
}

/// Runs `sotto import`. May be run again after a failure: events already stored are not duplicated.
pub async fn import(args: ImportArgs, databases: &Databases) -> Result<(), Failure> {
    let ImportKind::Sotto = args.from;
    let db = &databases.writer;
    let site = match &args.site {
        Some(site) => Some(find(db, site).await?.id),
        None => None,
    };
    let open = |e: std::io::Error| Failure::file(&args.file, &e);
    let file = File::open(&args.file).map_err(open)?;
    let mut progress = Progress::new("bytes", file.metadata().map_or(0, |metadata| metadata.len()));
    let mut read = 0;
    let mut lines = BufReader::new(file);
    let here: HashSet<u64> = sites::all(db).await?.iter().map(|site| site.id.0).collect();
    let shards = db.shards();
    let mut batches = vec![Vec::new(); shards.len()];
    let (mut count, mut total, mut line) = (0, 0u64, String::new());
    loop {
        line.clear();
        let bytes = lines.read_line(&mut line).map_err(open)?;
        let end = bytes == 0;
        read += bytes as u64;
        if !end {
            let (site, event) = checked_line(&line, site).map_err(|why| {
                Failure::usage(format!("{}: line {}: {why}", args.file.display(), total + 1))
            })?;
            if !here.contains(&site) {
                return Err(Failure::missing(format!(
                    "{}: line {}: its site is not here; say with --site which one the events are for",
                    args.file.display(),
                    total + 1
                )));
            }
            let batch = &mut batches[shard_of(SiteId(site), shards.len())];
            batch.extend_from_slice(&event);
            batch.push(b'\n');
            (count, total) = (count + 1, total + 1);
        }
        if count == IMPORT_LINES || (end && count > 0) {
            for (batch, shard) in batches.iter_mut().zip(&shards).filter(|(batch, _)| !batch.is_empty()) {
                insert_lines(shard, std::mem::take(batch)).await?;
            }
            count = 0;
            progress.show(read, Instant::now());
        }
        if end {
            break;
        }
    }
    drop(progress);
    audit::append(db, UserId::NONE, Action::Import, site.unwrap_or(SiteId::NONE), &format!("{total} events"))
        .await?;
    say!("{total} events imported")?;
    Ok(())
}

/// Checks that a line has only fields of the data map; returns its site (`site` if given) and its JSON.
fn checked_line(line: &str, site: Option<SiteId>) -> Result<(u64, Vec<u8>), String> {
    if line.len() > LINE_BYTES_MAX {
        return Err(format!("is longer than {LINE_BYTES_MAX} bytes"));
    }
    let mut event: serde_json::Map<String, serde_json::Value> =
        serde_json::from_str(line).map_err(|e| e.to_string())?;
    if let Some(name) = event.keys().find(|name| !Field::ALL.iter().any(|f| f.name() == name.as_str())) {
        return Err(format!("{name:?} is no field of the data map"));
    }
    if let Some(site) = site {
        event.insert("site".into(), site.to_string().into());
    }
    shuffle(&mut event);
    // ClickHouse writes large numbers as text.
    let of = match event.get("site") {
        Some(serde_json::Value::String(text)) => text.parse().ok(),
        Some(serde_json::Value::Number(number)) => number.as_u64(),
        _ => None,
    };
    let of = of.ok_or("names no site")?;
    Ok((of, serde_json::to_vec(&event).map_err(|e| e.to_string())?))
}

/// Sorts rows without a visitor by what is in them, as the collector does: an export of an earlier version has them in
/// the order in which they came.
fn shuffle(event: &mut serde_json::Map<String, serde_json::Value>) {
    let is_none =
        |value: &serde_json::Value| matches!(value.as_str(), Some("" | "0")) || value.as_u64() == Some(0);
    if event.get("visitor").is_none_or(is_none) && event.get("shuffle").is_none_or(is_none) {
        let text = serde_json::Value::Object(event.clone()).to_string();
        let hash = blake3::hash(text.as_bytes());
        let number = hash.as_bytes()[..4].iter().fold(0u32, |number, byte| number << 8 | u32::from(*byte));
        event.insert("shuffle".into(), number.into());
    }
}

async fn insert_lines(db: &Db, lines: Vec<u8>) -> Result<(), Failure> {
    let token = format!("import-{}", &blake3::hash(&lines).to_hex()[..32]);
    let mut insert = db
        .client()
        .insert_formatted_with("INSERT INTO events FORMAT JSONEachRow")
        .with_setting("insert_deduplication_token", token)
        .with_setting("async_insert", "0")
        .with_setting("max_partitions_per_insert_block", "0");
    insert.send(Bytes::from(lines)).await?;
    insert.end().await?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::{fs, io::Read as _};

    use super::*;

    const SITE: SiteId = SiteId(7);

    #[test]
    fn imported_rows_without_a_visitor_are_sorted_by_what_is_in_them() {
        let shuffled = |line: &str| {
            let (_, event) = checked_line(line, Some(SITE)).unwrap();
            serde_json::from_slice::<serde_json::Value>(&event).unwrap()["shuffle"].as_u64()
        };
        let line = |visitor: &str, path: &str| format!(r#"{{"visitor":{visitor},"path":"{path}"}}"#);
        assert_eq!(shuffled(&line("\"7\"", "/a")), None, "a visitor's own are sorted by time");
        let [a, b] = ["/a", "/b"].map(|path| shuffled(&line("\"0\"", path)).unwrap());
        assert!(a != 0 && b != 0 && a != b);
        assert_eq!(
            shuffled(&line("\"0\"", "/a")),
            Some(a),
            "again the same, so that a retry is no other row"
        );
        assert_eq!(shuffled(r#"{"visitor":0,"path":"/a","shuffle":5}"#), Some(5), "as it was exported");
        assert!(shuffled(r#"{"path":"/a"}"#).is_some());
    }

    #[test]
    fn export_that_was_cut_off_goes_on_with_its_last_day() {
        let line = |day: &str, n: u32| format!("{{\"site\":\"7\",\"day\":\"{day}\",\"path\":\"/{n}\"}}\n");
        let (first, second) = ("2026-11-01", "2026-11-02");
        let [a, b, c] = [line(first, 1), line(first, 2), line(second, 3)];
        let day = |text: &str| Some(Day::of(text.parse().unwrap()));
        for (what, text, kept, next) in [
            ("new", String::new(), "", None),
            ("one line cut", a[..9].to_owned(), "", None),
            ("one day", format!("{a}{b}"), "", day(first)),
            ("cut in the first day", format!("{a}{}", &b[..9]), "", day(first)),
            ("two days", format!("{a}{b}{c}"), &*format!("{a}{b}"), day(second)),
            ("cut in the second day", format!("{a}{b}{c}{}", &c[..9]), &*format!("{a}{b}"), day(second)),
        ] {
            let dir = tempfile::tempdir().unwrap();
            let path = dir.path().join("export");
            fs::write(&path, &text).unwrap();
            let (mut file, found) = open_export(&path, SITE).unwrap();
            assert_eq!((fs::read_to_string(&path).unwrap().as_str(), found), (kept, next), "{what}");
            let mut rest = String::new();
            file.read_to_string(&mut rest).unwrap();
            assert_eq!(rest, "", "{what}: what is written next comes behind it");
        }
    }

    #[test]
    fn file_that_is_no_export_of_the_site_is_refused_and_unchanged() {
        for text in ["a shopping list\n", "{\"site\":\"8\",\"day\":\"2026-11-01\"}\n", "{\"site\":7}\n"] {
            let dir = tempfile::tempdir().unwrap();
            let path = dir.path().join("file");
            fs::write(&path, text).unwrap();
            assert!(open_export(&path, SITE).is_err(), "{text}");
            assert_eq!(fs::read_to_string(&path).unwrap(), text);
        }
    }
}
