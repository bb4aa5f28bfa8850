//! `sotto retention`

use clap::Subcommand;
use sotto_collector::config::Config;
use sotto_schema::{
    clock::now_ms,
    datamap::{self, Lifetime},
    id::{SiteId, UserId},
};
use sotto_store::{
    audit::{self, Action},
    backup,
    db::Databases,
    retention::{self, Removed},
    sites,
};

use super::output::{Listing, say, time};
use crate::failure::Failure;

/// Maximum number of log lines shown.
const LOG_LINES_MAX: u64 = 10_000;

/// What to do about how long data is kept.
#[derive(Debug, Subcommand)]
pub enum RetentionCommand {
    /// Remove what is due now; a running sotto does it every hour by itself
    Run {
        /// Only say what would be removed
        #[arg(long)]
        dry_run: bool,
        /// Print JSON
        #[arg(long)]
        json: bool,
    },
    /// What was removed when, from the audit log
    Log {
        /// Print JSON
        #[arg(long)]
        json: bool,
    },
    /// What is kept for how long
    Rules {
        /// Print JSON
        #[arg(long)]
        json: bool,
    },
}

/// Runs the command.
pub async fn run(command: RetentionCommand, databases: &Databases, config: &Config) -> Result<(), Failure> {
    match command {
        RetentionCommand::Run { dry_run, json } => remove(databases, config, dry_run, json).await,
        RetentionCommand::Log { json } => log(databases, json).await,
        RetentionCommand::Rules { json } => rules(databases, json).await,
    }
}

async fn remove(databases: &Databases, config: &Config, dry: bool, json: bool) -> Result<(), Failure> {
    let now_ms = now_ms();
    let mut removed = retention::run(&databases.writer, now_ms, dry).await?;
    let files = backup::expire(&config.data.join(backup::DIRECTORY), now_ms, dry)?;
    for entry in files.iter().filter(|_| !dry) {
        audit::append(&databases.writer, UserId::NONE, Action::Retention, SiteId::NONE, &entry.detail())
            .await?;
    }
    removed.extend(files);
    if removed.is_empty() && !json {
        say!("nothing is due")?;
        return Ok(());
    }
    let mut listing = Listing::new(&["class", "site", "from", "to", "count", "how"]);
    let sites = sites::all(&databases.reader).await?;
    for Removed { class, site, from, to, count, how } in removed {
        let name = sites.iter().find(|s| s.id == site).map_or("", |s| s.name.as_str());
        let name = if site.is_some() && name.is_empty() { "(removed)" } else { name };
        let how = if dry { format!("would be {how}") } else { how.to_owned() };
        listing.row(vec![class.into(), name.into(), from.into(), to.into(), count.into(), how.into()]);
    }
    listing.print(json)?;
    Ok(())
}

async fn log(databases: &Databases, json: bool) -> Result<(), Failure> {
    let mut listing = Listing::new(&["time", "site", "removed"]);
    let sites = sites::all(&databases.reader).await?;
    for entry in audit::newest_of(&databases.reader, Action::Retention, LOG_LINES_MAX).await? {
        let name = sites.iter().find(|s| s.id == entry.site).map_or("", |s| s.name.as_str());
        listing.row(vec![time(entry.time), name.into(), entry.detail.into()]);
    }
    listing.print(json)?;
    Ok(())
}

async fn rules(databases: &Databases, json: bool) -> Result<(), Failure> {
    let mut listing = Listing::new(&["class", "site", "days", "rule", "removal"]);
    for class in datamap::classes() {
        let rule = serde_json::to_value(class.keep)?;
        if class.keep == Lifetime::Site {
            for site in sites::all(&databases.reader).await? {
                let days = site.retention_days.into();
                let row = vec![class.name.clone().into(), site.name.into(), days, rule.clone()];
                listing.row([row, vec![class.removal.clone().into()]].concat());
            }
            continue;
        }
        listing.row(vec![
            class.name.clone().into(),
            "".into(),
            class.days.into(),
            rule,
            class.removal.clone().into(),
        ]);
    }
    listing.print(json)?;
    Ok(())
}
