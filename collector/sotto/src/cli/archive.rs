//! `sotto archive`

use clap::Subcommand;
use sotto_collector::{
    archive::{Done, Sealer, verify},
    config::sites::rules::Rules,
    visitor::salts::GRACE_MS,
};
use sotto_schema::{clock::now_ms, day::Day, site::Site};
use sotto_store::{db::Databases, seals::Period};

use super::{
    output::{Listing, say},
    site::find,
};
use crate::failure::Failure;

/// What to do with the archive.
#[derive(Debug, Subcommand)]
pub enum ArchiveCommand {
    /// Turn past days into permanent anonymous cells, and months after their days
    Seal {
        /// Key, name or host name of the site; default: all
        #[arg(long)]
        site: Option<String>,
        /// Only this day, like 2026-11-01
        #[arg(long)]
        day: Option<String>,
        /// Print JSON
        #[arg(long)]
        json: bool,
    },
    /// Prove from the stored archive alone that nobody can be singled out; exits with an error otherwise
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
        ArchiveCommand::Seal { site, day, json } => {
            let sites = sites(databases, site.as_deref()).await?;
            seal(databases, sites, day.as_deref(), json).await
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

async fn seal(databases: &Databases, sites: Vec<Site>, day: Option<&str>, json: bool) -> Result<(), Failure> {
    let mut sealer = Sealer::new(databases.writer.clone());
    let mut listing = Listing::new(&["site", "period", "day", "rows"]);
    for site in &sites {
        let last = last_closed(site);
        let mut note = |done: Done| {
            let period = match done.period {
                Period::Day => "day",
                Period::Month => "month",
            };
            listing.row(vec![
                site.key.as_str().into(),
                period.into(),
                done.day.to_string().into(),
                done.rows.into(),
            ]);
        };
        match day {
            None => sealer.seal_site(site, last, &mut note).await?,
            Some(text) => {
                let day = text.parse().map_err(|_| {
                    Failure::usage(format!("--day = {text:?}, but it must be a day like 2026-11-01"))
                })?;
                if day > last {
                    return Err(Failure::usage(format!(
                        "{day} is not over for {}; its last day that can be sealed is {last}",
                        site.name
                    )));
                }
                let open = sealer.open_days(site, day).await?;
                if let Some((day, rows)) = open.into_iter().find(|(d, _)| *d == day) {
                    sealer.seal_day(site, day, rows).await?;
                    note(Done { period: Period::Day, day, rows });
                }
            }
        }
    }
    listing.print(json)?;
    Ok(())
}

async fn verify_all(databases: &Databases, sites: Vec<Site>, json: bool) -> Result<(), Failure> {
    let mut flaws = 0;
    let mut reports = Vec::new();
    for site in sites {
        let report = verify::verify(&databases.reader.of_site(site.id), site.id).await?;
        flaws += report.flaw_count;
        if json {
            let mut value = serde_json::to_value(&report)?;
            if let Some(object) = value.as_object_mut() {
                object.insert("site".into(), site.key.as_str().into());
            }
            reports.push(value);
        } else {
            print(&site, &report)?;
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

fn print(site: &Site, report: &verify::Report) -> Result<(), Failure> {
    say!(
        "{} ({}), k = {}: {} days, {} months, {} leaves",
        site.name,
        site.key,
        site.archive_k,
        report.days,
        report.months,
        report.leaves
    )?;
    match report.fewest {
        Some(fewest) => say!("  fewest people of a leaf: {fewest}")?,
        None => say!("  no leaf")?,
    }
    say!("  days with fewer than k visitors, of which only totals are kept: {}", report.small_days)?;
    say!("  remainders less leaves that were tried: {}", report.differences)?;
    for flaw in &report.flaws {
        say!("  FLAW {flaw}")?;
    }
    say!("  flaws: {}", report.flaw_count)?;
    let mut listing =
        Listing::new(&["dimension", "finest by day", "finest by month", "coarser", "rest", "waiting"]);
    for (dimension, kept) in &report.kept {
        let parts = [kept.by_day, kept.by_month, kept.coarser, kept.rest, kept.waiting];
        let all: u64 = parts.iter().sum();
        let share = |part: u64| format!("{:.1} %", 100.0 * part as f64 / all.max(1) as f64).into();
        listing.row(std::iter::once(dimension.as_str().into()).chain(parts.map(share)).collect());
    }
    listing.print(false)
}
