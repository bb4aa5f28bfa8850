//! Funnels: ways through a site on which visits are followed, step by step.

use clickhouse::{Row, error::Error};
use serde::{Deserialize, Serialize};
use sotto_schema::{
    clock::{now_ms, version},
    id::{FunnelId, SiteId},
};

use crate::{
    db::Db,
    goal::{self, Kind},
};

pub use crate::goal::{NAME_CHARS_MAX, PATTERN_BYTES_MAX};

/// The fewest steps of a funnel.
pub const STEPS_MIN: usize = 2;
/// The most steps of a funnel.
pub const STEPS_MAX: usize = 8;
/// How many funnels a site may have.
pub const FUNNELS_MAX: usize = 50;

/// A step of a funnel.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Step {
    /// What it is.
    pub kind: Kind,
    /// Path with `*`, or name of an event.
    pub pattern: String,
}

/// A funnel of a site.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Funnel {
    /// Number in the tables.
    pub id: FunnelId,
    /// The site.
    pub site: SiteId,
    /// What people call it.
    pub name: String,
    /// Whether no other page may be seen between two steps.
    pub strict: bool,
    /// The steps in order, [`STEPS_MIN`] to [`STEPS_MAX`].
    pub steps: Vec<Step>,
    /// When it was added, in milliseconds since 1970-01-01 UTC.
    pub created_ms: i64,
}

/// Why a funnel is rejected. The messages are shown to people.
#[derive(Debug, thiserror::Error)]
pub enum FunnelError {
    /// See the message.
    #[error("the name must have 1 to {NAME_CHARS_MAX} characters")]
    Name,
    /// See the message.
    #[error("a funnel has {STEPS_MIN} to {STEPS_MAX} steps, not {0}")]
    Steps(usize),
    /// See the message.
    #[error(
        "step {0} needs a path like /prices or /order/*, or the name of an event, of at most {PATTERN_BYTES_MAX} bytes"
    )]
    Step(usize),
    /// See the message.
    #[error("the site has {FUNNELS_MAX} funnels already; remove one first")]
    TooMany,
    /// The operating system gave no randomness.
    #[error("the operating system has no randomness")]
    Randomness(#[from] getrandom::Error),
    /// ClickHouse refused or cannot be reached.
    #[error("cannot reach the database")]
    Database(#[from] Error),
}

#[derive(Row, Serialize, Deserialize)]
struct FunnelRow {
    id: FunnelId,
    site: SiteId,
    name: String,
    strict: bool,
    kinds: Vec<Kind>,
    patterns: Vec<String>,
    created: i64,
    version: u64,
    deleted: u8,
}

impl From<FunnelRow> for Funnel {
    fn from(row: FunnelRow) -> Self {
        let steps = row.kinds.into_iter().zip(row.patterns);
        Self {
            id: row.id,
            site: row.site,
            name: row.name,
            strict: row.strict,
            steps: steps.map(|(kind, pattern)| Step { kind, pattern }).collect(),
            created_ms: row.created,
        }
    }
}

fn check(name: &str, steps: &[Step]) -> Result<(), FunnelError> {
    if !(1..=NAME_CHARS_MAX).contains(&name.chars().count()) {
        return Err(FunnelError::Name);
    }
    if !(STEPS_MIN..=STEPS_MAX).contains(&steps.len()) {
        return Err(FunnelError::Steps(steps.len()));
    }
    match steps.iter().position(|step| !goal::is_pattern(step.kind, &step.pattern)) {
        Some(n) => Err(FunnelError::Step(n + 1)),
        None => Ok(()),
    }
}

async fn rows(db: &Db, site: SiteId) -> Result<Vec<FunnelRow>, Error> {
    db.query(include_str!("funnel/of_site.sql")).param("site", site).fetch_all().await
}

/// The funnels of a site, by name.
///
/// # Errors
/// When ClickHouse cannot be queried.
pub async fn all(db: &Db, site: SiteId) -> Result<Vec<Funnel>, FunnelError> {
    Ok(rows(db, site).await?.into_iter().map(Funnel::from).collect())
}

/// Adds a funnel; blanks around its name and steps are left out.
///
/// # Errors
/// When a value is not allowed, there are too many, or ClickHouse cannot be queried.
pub async fn add(
    db: &Db,
    site: SiteId,
    name: &str,
    strict: bool,
    steps: &[Step],
) -> Result<Funnel, FunnelError> {
    let name = name.trim();
    let trimmed = |step: &Step| Step { kind: step.kind, pattern: step.pattern.trim().to_owned() };
    let steps: Vec<Step> = steps.iter().map(trimmed).collect();
    check(name, &steps)?;
    if rows(db, site).await?.len() >= FUNNELS_MAX {
        return Err(FunnelError::TooMany);
    }
    let row = FunnelRow {
        id: FunnelId::random()?,
        site,
        name: name.to_owned(),
        strict,
        kinds: steps.iter().map(|step| step.kind).collect(),
        patterns: steps.into_iter().map(|step| step.pattern).collect(),
        created: now_ms(),
        version: version(),
        deleted: 0,
    };
    write(db, &[&row]).await?;
    Ok(Funnel::from(row))
}

/// Removes a funnel. Returns whether there was one.
///
/// # Errors
/// When ClickHouse cannot be queried.
pub async fn remove(db: &Db, site: SiteId, id: FunnelId) -> Result<bool, FunnelError> {
    let found = rows(db, site).await?.into_iter().find(|funnel| funnel.id == id);
    let Some(row) = found else { return Ok(false) };
    write(db, &[&FunnelRow { version: version(), deleted: 1, ..row }]).await?;
    Ok(true)
}

async fn write(db: &Db, rows: &[&FunnelRow]) -> Result<(), Error> {
    let mut insert = db.client().insert::<FunnelRow>("funnels").await?;
    for row in rows {
        insert.write(row).await?;
    }
    insert.end().await
}

#[cfg(test)]
mod tests {
    use super::*;

    fn page(pattern: &str) -> Step {
        Step { kind: Kind::Page, pattern: pattern.into() }
    }

    #[test]
    fn value_at_a_limit_is_accepted_and_one_beyond_is_not() {
        let path = |n: usize| page(&format!("/{}", "a".repeat(n - 1)));
        let two = [page("/"), page("/b/*")];
        assert!(check(&"ä".repeat(NAME_CHARS_MAX), &two).is_ok());
        assert!(check(&"ä".repeat(NAME_CHARS_MAX + 1), &two).is_err());
        assert!(check("", &two).is_err());
        for (steps, fits) in
            [(STEPS_MIN - 1, false), (STEPS_MIN, true), (STEPS_MAX, true), (STEPS_MAX + 1, false)]
        {
            assert_eq!(check("a", &vec![page("/"); steps]).is_ok(), fits, "{steps}");
        }
        assert!(check("a", &[page("/"), path(PATTERN_BYTES_MAX)]).is_ok());
        assert!(matches!(check("a", &[page("/"), path(PATTERN_BYTES_MAX + 1)]), Err(FunnelError::Step(2))));
        assert!(matches!(check("a", &[page("prices"), page("/")]), Err(FunnelError::Step(1))));
        let event = Step { kind: Kind::Event, pattern: "Sign up".into() };
        assert!(check("a", &[page("/"), event.clone()]).is_ok());
        assert!(check("a", &[page("/"), Step { pattern: String::new(), ..event }]).is_err());
    }
}
