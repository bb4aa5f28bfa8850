//! `sotto privacy`: texts made from the data map, and the rights of visitors.

use std::time::Duration;

use clap::Subcommand;
use sotto_collector::{config::Config, pipeline::parse, spool::sharded};
use sotto_schema::{
    claims::Language,
    id::{ReturningId, SiteId, UserId, VisitorKey},
    privacy::{self, assessment},
};
use sotto_store::{
    audit::{self, Action},
    backup,
    db::{Databases, Db, shard_of},
    rights::{self, Shown},
};

use super::{
    data,
    output::{self, say},
    site::find,
    spool,
};
use crate::{
    databases::{lock, require, with_databases},
    failure::Failure,
};
use sotto_collector::config::Paths;

/// What to do about privacy.
#[derive(Debug, Subcommand)]
pub enum PrivacyCommand {
    /// The records of processing (GDPR Art. 30), from the data map
    Records {
        /// Print JSON
        #[arg(long)]
        json: bool,
    },
    /// Paragraphs for a privacy notice (GDPR Art. 13), from the data map and a site's settings
    Notice {
        /// Key, name or host name of the site
        site: String,
        /// en or de
        #[arg(long, default_value = "en")]
        language: String,
    },
    /// The self-assessment for audience measurement without consent (CNIL), for a site's settings
    Assessment {
        /// Key, name or host name of the site
        site: String,
        /// Print JSON
        #[arg(long)]
        json: bool,
    },
    /// All raw events under a visitor key or a browser's own number, as JSON lines
    Export(Whose),
    /// Erase all raw events under a visitor key or a browser's own number, and wait until they are gone
    Erase(Whose),
}

/// Whose events.
#[derive(Debug, clap::Args)]
#[command(group(clap::ArgGroup::new("whose").required(true).args(["visitor", "id"])))]
pub struct Whose {
    /// Key, name or host name of the site
    site: String,
    /// The visitor key of a day
    #[arg(long)]
    visitor: Option<u64>,
    /// The number that a browser keeps after a consent to analytics: 12 characters
    #[arg(long)]
    id: Option<String>,
}

impl Whose {
    /// What the visitor presents: a key of any day, or the id.
    fn shown(&self, site: SiteId) -> Result<(VisitorKey, ReturningId), Failure> {
        match (&self.visitor, &self.id) {
            (Some(0), _) => Err(Failure::usage(
                "0 stands for \"no visitor\": those events belong to nobody who could be told apart",
            )),
            (Some(visitor), _) => Ok((VisitorKey(*visitor), ReturningId::NONE)),
            (None, Some(id)) => {
                parse::returning_id(id).map(|number| (VisitorKey::NONE, number)).ok_or_else(|| {
                    Failure::usage(format!("--id = {id:?}, but it must be 12 characters of 0-9 and a-z"))
                })
            }
            (None, None) => Err(Failure::usage(format!("--visitor or --id is needed for site {site}"))),
        }
    }
}

/// How long pending hits may take to reach the database before an erasure is abandoned.
const SPOOL_PATIENCE: Duration = Duration::from_secs(60);
/// How long a running sotto may take to remove shipped hits from the disk.
const REMOVAL_PATIENCE: Duration = Duration::from_secs(60);
/// How long ClickHouse may take to remove old files.
const GONE_PATIENCE: Duration = Duration::from_secs(10 * 60);

/// Runs the command.
pub async fn run(command: PrivacyCommand, config: &Config, paths: &Paths) -> Result<(), Failure> {
    match command {
        PrivacyCommand::Records { json: true } => {
            say!("{}", serde_json::to_string_pretty(&privacy::records())?)?
        }
        PrivacyCommand::Records { json: false } => {
            output::print(format_args!("{}", privacy::records_markdown()))?
        }
        PrivacyCommand::Notice { site, language } => {
            let Some(language) = Language::of_tag(&language) else {
                return Err(Failure::usage(format!("--language = {language:?}, but it must be en or de")));
            };
            let site = with_databases(config, paths, async |db| find(&db.reader, &site).await).await?;
            let page = format!("{}/privacy?s={}", config.public_url(), site.key);
            output::print(format_args!("{}", privacy::notice(&site, &page, language)))?;
        }
        PrivacyCommand::Assessment { site, json } => {
            let site = with_databases(config, paths, async |db| find(&db.reader, &site).await).await?;
            if json {
                say!("{}", serde_json::to_string_pretty(&assessment::assess(&site))?)?;
            } else {
                output::print(format_args!("{}", assessment::markdown(&site)))?;
            }
        }
        PrivacyCommand::Export(whose) => {
            with_databases(config, paths, async |db| {
                let site = find(&db.reader, &whose.site).await?;
                let (visitor, returning) = whose.shown(site.id)?;
                data::print_lines(&db, include_str!("privacy/export.sql"), site.id, visitor, returning).await
            })
            .await?;
        }
        PrivacyCommand::Erase(whose) => {
            require(config)?;
            // Pending hits would reappear after the erasure.
            if lock(config).is_ok() {
                spool::ship_all(config, paths).await?;
            }
            with_databases(config, paths, async |db| erase(&db, &whose, config).await).await?;
        }
    }
    Ok(())
}

async fn erase(databases: &Databases, whose: &Whose, config: &Config) -> Result<(), Failure> {
    let db = &databases.writer;
    let site = find(db, &whose.site).await?;
    let (visitor, returning) = whose.shown(site.id)?;
    await_spool(config, site.id).await?;
    let erased = if returning.is_some() {
        rights::erase(db, &Shown { site: site.id, returning, ..Shown::default() }).await?
    } else {
        erase_key(&db.of_site(site.id), site.id, visitor).await?
    };
    audit::append(db, UserId::NONE, Action::Erase, site.id, &format!("{erased} events on request")).await?;
    say!("{erased} events erased, 0 left")?;
    say_what_remains(db, config, site.id).await?;
    say!(
        "not reached: consent receipts (proof, without identity), and backups made before now, which are to be deleted \
         within {} days",
        backup::days()
    )?;
    Ok(())
}

/// Waits until no file holds what was erased, and says so, or what may hold some of it and until when.
async fn say_what_remains(db: &Db, config: &Config, site: SiteId) -> Result<(), Failure> {
    let mut remains = Vec::new();
    if await_removal(config, site).await.is_err() {
        remains.push("files of hits that wait for ClickHouse, until those are shipped (sotto spool inspect)");
    }
    let dir = sharded::directory(&config.data, shard_of(site, config.shard_count()));
    if !sotto_collector::spool::set_aside(&dir)?.is_empty() {
        remains.push("batches that were set aside, until they are replayed or deleted (sotto spool inspect)");
    }
    if rights::until_gone(db, site, GONE_PATIENCE).await? > 0 {
        remains.push("old files of ClickHouse, which no query reads, until it removes them (system.parts)");
    }
    if remains.is_empty() {
        say!("no file of the spool or of ClickHouse holds them any more")?;
    }
    for place in remains {
        say!("bytes may remain in {place}")?;
    }
    Ok(())
}

/// Waits until the files of the spool that there are now are removed, as a running sotto does when they are shipped.
async fn await_removal(config: &Config, site: SiteId) -> Result<(), tokio::time::error::Elapsed> {
    let dir = sharded::directory(&config.data, shard_of(site, config.shard_count()));
    let segments = || sotto_collector::spool::inspect(&dir);
    let end =
        segments().map_or(0, |segments| segments.iter().map(|s| s.first + s.records).max().unwrap_or(0));
    let removed = async {
        // A segment may be removed while it is read; then it is read again.
        while segments().map_or(true, |segments| segments.iter().any(|s| s.first < end)) {
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
    };
    tokio::time::timeout(REMOVAL_PATIENCE, removed).await
}

async fn erase_key(db: &Db, site: SiteId, visitor: VisitorKey) -> Result<u64, Failure> {
    let with = |sql| db.query(sql).param("site", site).param("visitor", visitor);
    let before: u64 = with(include_str!("privacy/count.sql")).fetch_one().await?;
    with(include_str!("privacy/erase.sql")).with_setting("mutations_sync", "2").execute().await?;
    match with(include_str!("privacy/count.sql")).fetch_one::<u64>().await? {
        0 => Ok(before),
        left => {
            Err(Failure::failed(format!("{left} events are left; the visitor is still there, try again")))
        }
    }
}

/// Waits until a running sotto has shipped what is pending now.
async fn await_spool(config: &Config, site: SiteId) -> Result<(), Failure> {
    let dir = sharded::directory(&config.data, shard_of(site, config.shard_count()));
    let inspected = || -> std::io::Result<(u64, u64)> {
        let segments = sotto_collector::spool::inspect(&dir)?;
        let next = segments.iter().map(|s| s.first + s.records).max().unwrap_or(0);
        Ok((next, next - segments.iter().map(|s| s.waiting).sum::<u64>()))
    };
    let (wanted, _) = inspected()?;
    let shipped = async {
        // A segment may be removed while it is read; then it is read again.
        while inspected().map_or(true, |(_, shipped)| shipped < wanted) {
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
    };
    tokio::time::timeout(SPOOL_PATIENCE, shipped).await.map_err(|_| {
        Failure::failed("hits still wait for ClickHouse, and could bring back what is erased; try again when they are shipped (sotto spool inspect)")
    })
}
