//! `sotto export` and `import`

use std::{
    collections::HashSet,
    fs::File,
    io::{BufRead, BufReader, Write as _},
    path::PathBuf,
};

use bytes::Bytes;
use clap::ValueEnum;
use sotto_schema::{
    event::Field,
    id::{ReturningId, SiteId, UserId, VisitorKey},
};
use sotto_store::{
    audit::{self, Action},
    db::{Databases, Db, shard_of},
    sites,
};

use super::{output::say, site::find};
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
    print_query(query).await
}

async fn print_query(query: clickhouse::query::Query) -> Result<(), Failure> {
    let query = query.with_setting("output_format_json_escape_forward_slashes", "0");
    let mut cursor = query.fetch_bytes("JSONEachRow")?;
    let mut out = std::io::stdout().lock();
    while let Some(bytes) = cursor.next().await? {
        out.write_all(&bytes).map_err(|e| Failure::output(&e))?;
    }
    out.flush().map_err(|e| Failure::output(&e))
}

/// Runs `sotto export`.
pub async fn export(args: ExportArgs, databases: &Databases) -> Result<(), Failure> {
    let site = find(&databases.reader, &args.site).await?;
    let day = |key: &str, text: &str| {
        text.parse::<jiff::civil::Date>()
            .map_err(|_| Failure::usage(format!("{key} = {text:?}, but it must be a day like 2026-11-01")))
    };
    if day("--from", &args.from)? > day("--to", &args.to)? {
        return Err(Failure::usage(format!("--from = {} is after --to = {}", args.from, args.to)));
    }
    let query = databases
        .reader
        .of_site(site.id)
        .query(include_str!("data/export.sql"))
        .param("site", site.id)
        .param("from", &args.from)
        .param("to", &args.to);
    print_query(query).await
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
    let mut lines = BufReader::new(File::open(&args.file).map_err(open)?);
    let here: HashSet<u64> = sites::all(db).await?.iter().map(|site| site.id.0).collect();
    let shards = db.shards();
    let mut batches = vec![Vec::new(); shards.len()];
    let (mut count, mut total, mut line) = (0, 0u64, String::new());
    loop {
        line.clear();
        let end = lines.read_line(&mut line).map_err(open)? == 0;
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
        }
        if end {
            break;
        }
    }
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
    // ClickHouse writes large numbers as text.
    let of = match event.get("site") {
        Some(serde_json::Value::String(text)) => text.parse().ok(),
        Some(serde_json::Value::Number(number)) => number.as_u64(),
        _ => None,
    };
    let of = of.ok_or("names no site")?;
    Ok((of, serde_json::to_vec(&event).map_err(|e| e.to_string())?))
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
