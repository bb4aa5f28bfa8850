//! Checks a stored archive: that everything in it is a release of the ledger, whole, once, as the mechanism makes it, and within
//! the budget of every day.
//!
//! It reads the archive alone and recomputes costs and digests. What a release is made of cannot be checked, and should not: that
//! would need the raw events.

use std::collections::{BTreeMap, BTreeSet};

use serde::Serialize;
use sotto_schema::{
    archived::{EPSILON_MAX, EPSILON_MIN},
    day::Day,
    id::SiteId,
};
use sotto_store::{
    db::Db,
    releases::{self, Line, Period},
};

use super::{ArchiveError, budget, mechanism::NoiseError};

/// Flaws that are described; the others are counted.
const FLAWS_MAX: usize = 100;
/// Two figures that differ by less are the same: they are computed on different machines.
const SAME: f64 = 1e-9;

/// What was found in the archive of a site.
#[derive(Debug, Clone, PartialEq, Default, Serialize)]
pub struct Report {
    /// Releases of days.
    pub days: usize,
    /// Releases of months.
    pub months: usize,
    /// Values of all of them.
    pub values: usize,
    /// The greatest privacy loss epsilon of any visitor's day.
    pub spent: f64,
    /// The greatest that the site has allowed.
    pub allowed: u8,
    /// The last day that was released, `YYYY-MM-DD`.
    pub last_day: Option<String>,
    /// How many flaws.
    pub flaw_count: usize,
    /// The first of them.
    pub flaws: Vec<String>,
}

impl Report {
    fn flaw(&mut self, text: String) {
        self.flaw_count += 1;
        if self.flaws.len() < FLAWS_MAX {
            self.flaws.push(text);
        }
    }
}

/// Reads and checks the archive of a site.
///
/// # Errors
/// When ClickHouse cannot be asked.
pub async fn verify(db: &Db, site: SiteId) -> Result<Report, ArchiveError> {
    Ok(check(&releases::lines(db, site).await?, site)?)
}

/// Checks all lines of a site.
///
/// # Errors
/// When costs cannot be computed.
pub fn check(lines: &[Line], site: SiteId) -> Result<Report, NoiseError> {
    let mut report = Report::default();
    let mut by_number: BTreeMap<u64, Vec<Line>> = BTreeMap::new();
    for line in lines {
        if line.site != site {
            report.flaw(format!("{}: a line of another site", name(line)));
        }
        by_number.entry(line.release).or_default().push(line.clone());
    }
    let mut previous = [0; 32];
    let mut periods = BTreeSet::new();
    for release in by_number.values() {
        let Some(first) = release.first() else { continue };
        check_release(release, first, &mut report)?;
        if first.previous != previous {
            report.flaw(format!("{}: the release before it is missing or was changed", name(first)));
        }
        previous = first.digest;
        if !periods.insert((first.period, first.day)) {
            report.flaw(format!("{}: released twice", name(first)));
        }
        match first.period {
            Period::Day => {
                report.days += 1;
                report.last_day = report.last_day.max(Some(name(first)));
            }
            Period::Month => report.months += 1,
        }
        report.values += release.iter().map(|line| line.values.len()).sum::<usize>();
        report.allowed = report.allowed.max(first.epsilon);
    }
    check_budget(&by_number, &mut report)?;
    Ok(report)
}

fn name(line: &Line) -> String {
    let date = Day(line.day).date();
    match line.period {
        Period::Day => date.to_string(),
        Period::Month => date.strftime("%Y-%m").to_string(),
    }
}

fn check_release(lines: &[Line], first: &Line, report: &mut Report) -> Result<(), NoiseError> {
    let of = name(first);
    let head = |l: &Line| (l.period, l.day, l.epsilon, l.monthly, l.previous, l.digest);
    if lines.iter().any(|line| head(line) != head(first)) {
        report.flaw(format!("{of}: its lines are not of one release"));
    }
    if releases::digest(lines) != first.digest {
        report.flaw(format!("{of}: its digest is not that of its lines: one was changed, added or removed"));
    }
    if !(EPSILON_MIN..=EPSILON_MAX).contains(&first.epsilon) {
        report.flaw(format!("{of}: a privacy loss of {}", first.epsilon));
        return Ok(());
    }
    if first.period == Period::Month && Day(first.day).date().day() != 1 {
        report.flaw(format!("{of}: a month that does not begin with its first day"));
    }
    let plan = budget::plan(first.epsilon, first.period, first.monthly)?;
    for share in plan.iter() {
        if !lines.iter().any(|line| line.dimension == share.kept.name && !line.anonymous) {
            report.flaw(format!("{of}: no line of {}", share.kept.name));
        }
    }
    let mut seen = BTreeSet::new();
    for line in lines {
        let what =
            format!("{of}, {}{}", line.dimension, if line.anonymous { " without visitor" } else { "" });
        if !seen.insert((&line.dimension, line.anonymous)) {
            report.flaw(format!("{what}: twice in a release"));
        }
        match plan.iter().find(|share| share.kept.name == line.dimension) {
            None => report.flaw(format!("{what}: such a release has no such dimension")),
            Some(share) => check_line(line, share, &what, report)?,
        }
    }
    Ok(())
}

fn check_line(line: &Line, share: &budget::Share, what: &str, report: &mut Report) -> Result<(), NoiseError> {
    let same = |a: f64, b: f64| (a - b).abs() <= SAME * a.abs().max(b.abs());
    let with_hits = share.kept.hits > 0 && !line.anonymous;
    let (rho, delta) = if line.anonymous { share.cost_of_a_hit()? } else { (share.rho, share.delta) };
    let hits_sigma = if with_hits { share.hits_sigma } else { 0.0 };
    if !same(line.sigma, share.sigma)
        || !same(line.hits_sigma, hits_sigma)
        || line.threshold != share.threshold
    {
        report.flaw(format!("{what}: noise or threshold are not those of its budget"));
    }
    if !same(line.rho, rho) || !same(line.delta, delta) {
        report.flaw(format!("{what}: its cost is not that of its noise"));
    }
    if line.counts.len() != line.values.len() || (with_hits && line.hits.len() != line.values.len()) {
        report.flaw(format!("{what}: values and figures do not match"));
    }
    if !with_hits && !line.hits.is_empty() {
        report.flaw(format!("{what}: hits that are not released"));
    }
    if !line.values.is_sorted_by(|a, b| a < b) {
        report.flaw(format!("{what}: a value twice, or not in order"));
    }
    if line.counts.iter().any(|count| *count < share.threshold) {
        report.flaw(format!("{what}: a count below the threshold"));
    }
    let bound =
        |(hits, count): (&u32, &u32)| u64::from(*hits) > u64::from(*count) * u64::from(share.kept.hits);
    if line.hits.iter().zip(&line.counts).any(bound) {
        report.flaw(format!("{what}: more hits than its visitors can have"));
    }
    if share.kept.is_total() && line.values.iter().any(|value| !value.is_empty()) {
        report.flaw(format!("{what}: a total with values"));
    }
    Ok(())
}

/// Checks that no day costs more than was promised for it, by the lines' own costs.
fn check_budget(releases: &BTreeMap<u64, Vec<Line>>, report: &mut Report) -> Result<(), NoiseError> {
    let mut days: BTreeMap<u16, (f64, f64, u8)> = BTreeMap::new();
    for lines in releases.values() {
        let Some(first) = lines.first() else { continue };
        let date = Day(first.day).date();
        let last = match first.period {
            Period::Day => date,
            Period::Month => date.last_of_month(),
        };
        // A hit without a visitor is a unit of its own: only one of both is spent.
        let cost = |of: fn(&Line) -> f64| {
            let sum = |anonymous| lines.iter().filter(|l| l.anonymous == anonymous).map(of).sum::<f64>();
            sum(false).max(sum(true))
        };
        for day in first.day..=Day::of(last).0 {
            let spent = days.entry(day).or_default();
            spent.0 += cost(|line| line.rho);
            spent.1 += cost(|line| line.delta);
            spent.2 = spent.2.max(first.epsilon);
        }
    }
    let mut known: BTreeMap<(u64, u64, u8), (bool, f64)> = BTreeMap::new();
    for (day, (rho, delta, allowed)) in days {
        let key = (rho.to_bits(), delta.to_bits(), allowed);
        let (within, spent) = match known.get(&key) {
            Some(found) => *found,
            None => {
                let found = (budget::is_within(rho, delta, allowed)?, budget::spent(rho)?);
                known.insert(key, found);
                found
            }
        };
        report.spent = report.spent.max(spent);
        if !within {
            let date = Day(day).date();
            report.flaw(format!("{date}: its releases cost {spent:.2}, more than the promised {allowed}"));
        }
    }
    Ok(())
}
