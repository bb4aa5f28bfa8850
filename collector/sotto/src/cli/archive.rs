//! `sotto archive`

use clap::Subcommand;
use sotto_collector::{
    archive::{Done, Sealer, verify},
    config::sites::rules::Rules,
    visitor::salts::GRACE_MS,
};
use sotto_schema::{clock::now_ms, day::Day, site::Site};
use sotto_store::{db::Databases, releases::Period};

use super::{
    output::{Listing, say},
    site::find,
};
use crate::failure::Failure;

/// What to do with the archive.
#[derive(Debug, Subcommand)]
pub enum ArchiveCommand {
    /// Release the days that are over as anonymous figures that stay, and months after their days
    Seal {
        /// Key, name or host name of the site; default: all
        #[arg(long)]
        site: Option<String>,
        /// Print JSON
        #[arg(long)]
        json: bool,
    },
    /// Check that everything in the archive is a release within its privacy budget; exits with an error otherwise
    Verify {
        /// Key, name or host name of the site; default: all
        #[arg(long)]
        site: Option<String>,
        /// Print JSON
        #[arg(long)]
        json: bool,
    },
}

async fn sites(databases: &Databases, named: Option<&str>) -> Result<Vec<Site>, Failure> {
    match named {
        Some(name) => Ok(vec![find(&databases.reader, name).await?]),
        None => Ok(sotto_store::sites::all(&databases.reader).await?),
    }
}

/// Runs the command.
pub async fn run(command: ArchiveCommand, databases: &Databases) -> Result<(), Failure> {
    match command {
        ArchiveCommand::Seal { site, json } => {
            let sites = sites(databases, site.as_deref()).await?;
            seal(databases, sites, json).await
        }
        ArchiveCommand::Verify { site, json } => {
            verify_all(databases, sites(databases, site.as_deref()).await?, json).await
        }
    }
}

/// The last day of a site whose salt is dead.
fn last_closed(site: &Site) -> jiff::civil::Date {
    let rules = Rules::new(site.clone());
    let today = rules.day(now_ms() - GRACE_MS);
    Day(today.0.saturating_sub(1)).date()
}

async fn seal(databases: &Databases, sites: Vec<Site>, json: bool) -> Result<(), Failure> {
    let mut sealer = Sealer::new(databases.writer.clone());
    let mut listing = Listing::new(&["site", "period", "day", "values"]);
    for site in &sites {
        let note = |done: Done| {
            let period = match done.period {
                Period::Day => "day",
                Period::Month => "month",
            };
            listing.row(vec![
                site.key.as_str().into(),
                period.into(),
                done.day.to_string().into(),
                done.values.into(),
            ]);
        };
        sealer.seal_site(site, last_closed(site), note).await?;
    }
    listing.print(json)?;
    Ok(())
}

async fn verify_all(databases: &Databases, sites: Vec<Site>, json: bool) -> Result<(), Failure> {
    let sealer = Sealer::new(databases.reader.clone());
    let mut flaws = 0;
    let mut reports = Vec::new();
    for site in sites {
        let waiting = sealer.waiting(&site, last_closed(&site)).await?;
        let report = verify::verify(&databases.reader, site.id).await?;
        flaws += report.flaw_count;
        if json {
            let mut value = serde_json::to_value(&report)?;
            if let Some(object) = value.as_object_mut() {
                object.insert("site".into(), site.key.as_str().into());
                object.insert("days_waiting".into(), waiting.into());
            }
            reports.push(value);
        } else {
            print(&site, &report, waiting)?;
        }
    }
    if json {
        say!("{}", serde_json::Value::Array(reports))?;
    }
    if flaws > 0 {
        return Err(Failure::found(format!("the archive does not hold what it promises: {flaws} flaws")));
    }
    Ok(())
}

fn print(site: &Site, report: &verify::Report, waiting: usize) -> Result<(), Failure> {
    say!(
        "{} ({}): {} days, {} months, {} values",
        site.name,
        site.key,
        report.days,
        report.months,
        report.values
    )?;
    say!("  privacy loss of a visitor's day: at most {:.2} of {}", report.spent, report.allowed)?;
    if let Some(last) = &report.last_day {
        say!("  last day released: {last}")?;
    }
    if waiting > 0 {
        say!(
            "  {waiting} days are over and not released: `sotto serve` releases them, unless their releases were removed"
        )?;
    }
    for flaw in &report.flaws {
        say!("  FLAW {flaw}")?;
    }
    say!("  flaws: {}", report.flaw_count)?;
    Ok(())
}
