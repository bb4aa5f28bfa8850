//! Goals: the conversions that a site tracks.

use clickhouse::{Row, error::Error};
use serde::{Deserialize, Serialize};
use serde_repr::{Deserialize_repr, Serialize_repr};
use sotto_schema::{
    clock::{now_ms, version},
    id::{GoalId, SiteId},
};

use crate::db::Db;

/// The longest name of a goal, in characters.
pub const NAME_CHARS_MAX: usize = 100;
/// The longest pattern, in bytes.
pub const PATTERN_BYTES_MAX: usize = 500;
/// How many goals a site may have.
pub const GOALS_MAX: usize = 200;

/// What completes a goal, or is a step of a funnel.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize_repr, Deserialize_repr)]
#[repr(i8)]
pub enum Kind {
    /// A pageview whose path matches the pattern; `*` stands for anything.
    Page = 1,
    /// An event of that name.
    Event = 2,
}

impl Kind {
    /// All kinds.
    pub const ALL: [Self; 2] = [Self::Page, Self::Event];

    /// The name as typed and stored.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Page => "page",
            Self::Event => "event",
        }
    }

    /// The kind of that name.
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|k| k.name() == name)
    }
}

/// A goal of a site.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Goal {
    /// Number in the tables.
    pub id: GoalId,
    /// The site.
    pub site: SiteId,
    /// What people call it.
    pub name: String,
    /// What completes it.
    pub kind: Kind,
    /// Path with `*`, or name of an event.
    pub pattern: String,
    /// When it was added, in milliseconds since 1970-01-01 UTC.
    pub created_ms: i64,
}

impl Goal {
    /// What the name of an event has to be, or a regular expression (RE2) for the path of a page: `*` stands for
    /// anything, every other character for itself.
    pub fn expression(&self) -> String {
        if self.kind == Kind::Event {
            return self.pattern.clone();
        }
        let mut out = String::from("^");
        for c in self.pattern.chars() {
            match c {
                '*' => out.push_str(".*"),
                c if c.is_ascii_punctuation() && c != '_' => out.extend(['\\', c]),
                c => out.push(c),
            }
        }
        out.push('$');
        out
    }
}

/// Why a goal is rejected. The messages are shown to people.
#[derive(Debug, thiserror::Error)]
pub enum GoalError {
    /// See the message.
    #[error("the name must have 1 to {NAME_CHARS_MAX} characters")]
    Name,
    /// See the message.
    #[error("a page goal needs a path like /thank-you or /order/*, of at most {PATTERN_BYTES_MAX} bytes")]
    Path,
    /// See the message.
    #[error("an event goal needs the name of an event, of at most {PATTERN_BYTES_MAX} bytes")]
    Event,
    /// See the message.
    #[error("the site has {GOALS_MAX} goals already; remove one first")]
    TooMany,
    /// The operating system gave no randomness.
    #[error("the operating system has no randomness")]
    Randomness(#[from] getrandom::Error),
    /// ClickHouse refused or cannot be reached.
    #[error("cannot reach the database")]
    Database(#[from] Error),
}

#[derive(Row, Serialize, Deserialize)]
struct GoalRow {
    id: GoalId,
    site: SiteId,
    name: String,
    kind: Kind,
    pattern: String,
    created: i64,
    version: u64,
    deleted: u8,
}

impl From<&GoalRow> for Goal {
    fn from(row: &GoalRow) -> Self {
        Self {
            id: row.id,
            site: row.site,
            name: row.name.clone(),
            kind: row.kind,
            pattern: row.pattern.clone(),
            created_ms: row.created,
        }
    }
}

fn check(name: &str, kind: Kind, pattern: &str) -> Result<(), GoalError> {
    if !(1..=NAME_CHARS_MAX).contains(&name.chars().count()) {
        return Err(GoalError::Name);
    }
    match kind {
        _ if is_pattern(kind, pattern) => Ok(()),
        Kind::Page => Err(GoalError::Path),
        Kind::Event => Err(GoalError::Event),
    }
}

/// Whether a text may say what is sought: a path, or the name of an event.
pub(crate) fn is_pattern(kind: Kind, pattern: &str) -> bool {
    let sized = (1..=PATTERN_BYTES_MAX).contains(&pattern.len());
    sized && (kind == Kind::Event || pattern.starts_with('/'))
}

async fn rows(db: &Db, site: SiteId) -> Result<Vec<GoalRow>, Error> {
    db.query(include_str!("goal/of_site.sql")).param("site", site).fetch_all().await
}

/// The goals of a site, by name.
///
/// # Errors
/// When ClickHouse cannot be queried.
pub async fn all(db: &Db, site: SiteId) -> Result<Vec<Goal>, GoalError> {
    Ok(rows(db, site).await?.iter().map(Goal::from).collect())
}

/// Adds a goal.
///
/// # Errors
/// When a value is not allowed, there are too many, or ClickHouse cannot be queried.
pub async fn add(db: &Db, site: SiteId, name: &str, kind: Kind, pattern: &str) -> Result<Goal, GoalError> {
    let (name, pattern) = (name.trim(), pattern.trim());
    check(name, kind, pattern)?;
    if rows(db, site).await?.len() >= GOALS_MAX {
        return Err(GoalError::TooMany);
    }
    let row = GoalRow {
        id: GoalId::random()?,
        site,
        name: name.to_owned(),
        kind,
        pattern: pattern.to_owned(),
        created: now_ms(),
        version: version(),
        deleted: 0,
    };
    write(db, &row).await?;
    Ok(Goal::from(&row))
}

/// Removes a goal. Returns whether there was one.
///
/// # Errors
/// When ClickHouse cannot be queried.
pub async fn remove(db: &Db, site: SiteId, id: GoalId) -> Result<bool, GoalError> {
    let Some(row) = rows(db, site).await?.into_iter().find(|g| g.id == id) else { return Ok(false) };
    write(db, &GoalRow { version: version(), deleted: 1, ..row }).await?;
    Ok(true)
}

async fn write(db: &Db, row: &GoalRow) -> Result<(), Error> {
    let mut insert = db.client().insert::<GoalRow>("goals").await?;
    insert.write(row).await?;
    insert.end().await
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pattern_of_a_goal_is_plain_text_but_for_the_star() {
        let expression = |kind, pattern: &str| {
            let (id, site, name, pattern) = (GoalId(1), SiteId(1), "G".into(), pattern.into());
            Goal { id, site, name, kind, pattern, created_ms: 0 }.expression()
        };
        assert_eq!(expression(Kind::Page, "/a.b/*"), r"^\/a\.b\/.*$");
        assert_eq!(expression(Kind::Event, "a.*"), "a.*");
    }

    #[test]
    fn value_at_a_limit_is_accepted_and_one_beyond_is_not() {
        let path = |n: usize| format!("/{}", "a".repeat(n - 1));
        assert!(check(&"ä".repeat(NAME_CHARS_MAX), Kind::Page, "/").is_ok());
        assert!(check(&"ä".repeat(NAME_CHARS_MAX + 1), Kind::Page, "/").is_err());
        assert!(check("a", Kind::Page, &path(PATTERN_BYTES_MAX)).is_ok());
        assert!(check("a", Kind::Page, &path(PATTERN_BYTES_MAX + 1)).is_err());
        assert!(check("a", Kind::Page, "thanks").is_err());
        assert!(check("a", Kind::Event, "sign up").is_ok());
        assert!(check("a", Kind::Event, "").is_err());
    }
}
