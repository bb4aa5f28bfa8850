//! Segments: filters that are kept under a name, by one person for themselves or by editors for everybody who reads the site.
//!
//! Nobody is told of what another person keeps for themselves. Whether somebody may keep one for the site is for the caller
//! to check, and so is the form of filters.

use clickhouse::{Row, error::Error};
use serde::{Deserialize, Serialize};
use sotto_schema::{
    clock::{now_ms, version},
    id::{SegmentId, SiteId, UserId},
};

use crate::db::Db;

/// The longest name of a segment, in characters.
pub const NAME_CHARS_MAX: usize = 100;
/// How many filters a segment has at most.
pub const SEGMENT_FILTERS_MAX: usize = 20;
/// How many segments a site may have, and how many a person of that site.
pub const SEGMENTS_MAX: usize = 100;

/// A segment of a site.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Segment {
    /// Number in the tables.
    pub id: SegmentId,
    /// The site.
    pub site: SiteId,
    /// Whose it is; [`UserId::NONE`] stands for everybody who reads the site.
    pub user: UserId,
    /// What people call it.
    pub name: String,
    /// Filters as in addresses (`country:is:DE`).
    pub filters: Vec<String>,
    /// When it was added, in milliseconds since 1970-01-01 UTC.
    pub created_ms: i64,
}

impl Segment {
    /// Whether everybody who reads the site has it.
    pub const fn is_of_site(&self) -> bool {
        self.user.is_none()
    }
}

/// Why a segment is rejected. The messages are shown to people.
#[derive(Debug, thiserror::Error)]
pub enum SegmentError {
    /// See the message.
    #[error("the name must have 1 to {NAME_CHARS_MAX} characters")]
    Name,
    /// See the message.
    #[error("there is a segment of that name already")]
    Taken,
    /// See the message.
    #[error("a segment has 1 to {SEGMENT_FILTERS_MAX} filters")]
    Filters,
    /// See the message.
    #[error("there are {SEGMENTS_MAX} segments already; remove one first")]
    TooMany,
    /// The operating system gave no randomness.
    #[error("the operating system has no randomness")]
    Randomness(#[from] getrandom::Error),
    /// ClickHouse refused or cannot be reached.
    #[error("cannot reach the database")]
    Database(#[from] Error),
}

#[derive(Row, Serialize, Deserialize)]
struct SegmentRow {
    id: SegmentId,
    site: SiteId,
    user: UserId,
    name: String,
    filters: Vec<String>,
    created: i64,
    version: u64,
    deleted: u8,
}

impl From<SegmentRow> for Segment {
    fn from(row: SegmentRow) -> Self {
        let SegmentRow { id, site, user, name, filters, created, version: _, deleted: _ } = row;
        Self { id, site, user, name, filters, created_ms: created }
    }
}

impl From<&Segment> for SegmentRow {
    fn from(segment: &Segment) -> Self {
        Self {
            id: segment.id,
            site: segment.site,
            user: segment.user,
            name: segment.name.clone(),
            filters: segment.filters.clone(),
            created: segment.created_ms,
            version: version(),
            deleted: 0,
        }
    }
}

impl SegmentRow {
    /// That it is removed, without what it was.
    fn removed(self) -> Self {
        Self { name: String::new(), filters: Vec::new(), version: version(), deleted: 1, ..self }
    }
}

fn check_name(name: &str, others: &[Segment]) -> Result<(), SegmentError> {
    if !(1..=NAME_CHARS_MAX).contains(&name.chars().count()) {
        return Err(SegmentError::Name);
    }
    match others.iter().any(|other| other.name == name) {
        true => Err(SegmentError::Taken),
        false => Ok(()),
    }
}

async fn rows(db: &Db, site: SiteId, user: UserId) -> Result<Vec<SegmentRow>, Error> {
    let query = db.query(include_str!("segment/of_site.sql"));
    query.param("site", site).param("user", user).fetch_all().await
}

/// The segments of a site that somebody sees, by name: their own, and those of the site.
///
/// # Errors
/// When ClickHouse cannot be queried.
pub async fn seen_by(db: &Db, site: SiteId, user: UserId) -> Result<Vec<Segment>, SegmentError> {
    let seen = rows(db, site, user).await?.into_iter().map(Segment::from);
    // Nobody is not everybody.
    Ok(seen.filter(|segment| segment.is_of_site() || segment.user == user).collect())
}

/// Keeps filters for a person, or with [`UserId::NONE`] for everybody who reads the site. Blanks around the name are left
/// out.
///
/// # Errors
/// When a value is not allowed, there are too many, or ClickHouse cannot be queried.
pub async fn add(
    db: &Db,
    site: SiteId,
    user: UserId,
    name: &str,
    filters: Vec<String>,
) -> Result<Segment, SegmentError> {
    let name = name.trim();
    let mut others = seen_by(db, site, user).await?;
    others.retain(|other| other.user == user);
    check_name(name, &others)?;
    if !(1..=SEGMENT_FILTERS_MAX).contains(&filters.len()) {
        return Err(SegmentError::Filters);
    }
    if others.len() >= SEGMENTS_MAX {
        return Err(SegmentError::TooMany);
    }
    let (id, name) = (SegmentId::random()?, name.to_owned());
    let segment = Segment { id, site, user, name, filters, created_ms: now_ms() };
    write(db, [SegmentRow::from(&segment)]).await?;
    Ok(segment)
}

/// Gives a segment another name.
///
/// # Errors
/// When the name is not allowed, or ClickHouse cannot be queried.
pub async fn rename(db: &Db, segment: &Segment, name: &str) -> Result<Segment, SegmentError> {
    let name = name.trim();
    let mut others = seen_by(db, segment.site, segment.user).await?;
    others.retain(|other| other.user == segment.user && other.id != segment.id);
    check_name(name, &others)?;
    let renamed = Segment { name: name.to_owned(), ..segment.clone() };
    write(db, [SegmentRow::from(&renamed)]).await?;
    Ok(renamed)
}

/// Removes a segment.
///
/// # Errors
/// When ClickHouse cannot be queried.
pub async fn remove(db: &Db, segment: &Segment) -> Result<(), SegmentError> {
    Ok(write(db, [SegmentRow::from(segment).removed()]).await?)
}

/// Removes what somebody who is removed kept for themselves.
///
/// # Errors
/// When ClickHouse cannot be queried.
pub(crate) async fn remove_of_user(db: &Db, user: UserId) -> Result<(), Error> {
    let own: Vec<SegmentRow> =
        db.query(include_str!("segment/of_user.sql")).param("user", user).fetch_all().await?;
    write(db, own.into_iter().map(SegmentRow::removed)).await
}

async fn write(db: &Db, rows: impl IntoIterator<Item = SegmentRow>) -> Result<(), Error> {
    let mut insert = db.client().insert::<SegmentRow>("segments").await?;
    for row in rows {
        insert.write(&row).await?;
    }
    insert.end().await
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn name_at_the_limit_is_accepted_and_one_beyond_or_a_second_time_is_not() {
        assert!(check_name(&"ä".repeat(NAME_CHARS_MAX), &[]).is_ok());
        assert!(matches!(check_name(&"ä".repeat(NAME_CHARS_MAX + 1), &[]), Err(SegmentError::Name)));
        assert!(matches!(check_name("", &[]), Err(SegmentError::Name)));
        let (id, site, user) = (SegmentId(1), SiteId(1), UserId::NONE);
        let other = Segment { id, site, user, name: "Buyers".into(), filters: Vec::new(), created_ms: 0 };
        assert!(matches!(check_name("Buyers", &[other]), Err(SegmentError::Taken)));
    }
}
