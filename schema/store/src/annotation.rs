//! Annotations: what the people of a site write at a day of its charts, such as a campaign or a new version of the site.
//!
//! Who wrote one is in the audit log only. Who may write is for the caller to check.

use clickhouse::{Row, error::Error};
use jiff::civil::{Date, DateTime, Time};
use serde::{Deserialize, Serialize};
use sotto_schema::{
    clock::{now_ms, version},
    day::Day,
    id::{AnnotationId, SiteId},
};

use crate::db::Db;

/// The longest text, in characters.
pub const TEXT_CHARS_MAX: usize = 200;
/// How many annotations a site may have.
pub const ANNOTATIONS_MAX: usize = 1_000;
/// What is stored as the minute of an annotation of a whole day.
const WHOLE_DAY: i16 = -1;

/// When something happened, by the clocks of the site.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Moment {
    /// The day.
    pub day: Date,
    /// The time to the minute; `None` for the whole day.
    pub time: Option<Time>,
}

impl Moment {
    /// Reads `2026-11-27`, `2026-11-27 13:05` or the same with a `T`.
    ///
    /// # Errors
    /// When it is something else, or before 1970 or after 2148.
    pub fn parse(text: &str) -> Result<Self, AnnotationError> {
        let text = text.trim();
        let moment = match text.split_once([' ', 'T']) {
            None => text.parse().map(|day| Self { day, time: None }),
            Some((day, time)) => DateTime::strptime("%Y-%m-%d %H:%M", format!("{day} {}", time.trim()))
                .map(|at| Self { day: at.date(), time: Some(at.time()) }),
        };
        let stored = |moment: &Self| Day::of(moment.day).date() == moment.day && moment.day.year() < 2149;
        moment.ok().filter(stored).ok_or(AnnotationError::Moment)
    }

    fn minute(self) -> i16 {
        self.time.map_or(WHOLE_DAY, |time| i16::from(time.hour()) * 60 + i16::from(time.minute()))
    }
}

impl std::fmt::Display for Moment {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self.time {
            None => self.day.fmt(f),
            Some(time) => write!(f, "{} {}", self.day, time.strftime("%H:%M")),
        }
    }
}

/// An annotation of a site.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Annotation {
    /// Number in the tables.
    pub id: AnnotationId,
    /// When it happened.
    pub at: Moment,
    /// What it says.
    pub text: String,
    /// When it was written, in milliseconds since 1970-01-01 UTC.
    pub created_ms: i64,
}

/// Why an annotation is rejected. The messages are shown to people.
#[derive(Debug, thiserror::Error)]
pub enum AnnotationError {
    /// See the message.
    #[error("the text must have 1 to {TEXT_CHARS_MAX} characters, all of them visible")]
    Text,
    /// See the message.
    #[error("the day must be one like 2026-11-27, with or without a time like 13:05")]
    Moment,
    /// See the message.
    #[error("the site has {ANNOTATIONS_MAX} annotations already; remove one first")]
    TooMany,
    /// The operating system gave no randomness.
    #[error("the operating system has no randomness")]
    Randomness(#[from] getrandom::Error),
    /// ClickHouse refused or cannot be reached.
    #[error("cannot reach the database")]
    Database(#[from] Error),
}

impl AnnotationError {
    /// Whether somebody typed something that is not allowed.
    pub const fn is_of_reader(&self) -> bool {
        matches!(self, Self::Text | Self::Moment | Self::TooMany)
    }
}

#[derive(Row, Serialize, Deserialize)]
struct AnnotationRow {
    id: AnnotationId,
    site: SiteId,
    day: Day,
    minute: i16,
    text: String,
    created: i64,
    version: u64,
    deleted: u8,
}

impl AnnotationRow {
    /// That it is removed, without what it was.
    fn removed(self) -> Self {
        Self { text: String::new(), version: version(), deleted: 1, ..self }
    }
}

impl From<AnnotationRow> for Annotation {
    fn from(row: AnnotationRow) -> Self {
        let AnnotationRow { id, site: _, day, minute, text, created, version: _, deleted: _ } = row;
        let clock = |minute: i8, hour: i8| Time::new(hour, minute, 0, 0).ok();
        let time = i8::try_from(minute % 60).ok().zip(i8::try_from(minute / 60).ok());
        let time = time.filter(|_| minute >= 0).and_then(|(minute, hour)| clock(minute, hour));
        Self { id, at: Moment { day: day.date(), time }, text, created_ms: created }
    }
}

/// Characters that change the order of those around them (UAX #9), and marks of direction: what is shown would not be what was
/// typed.
const fn is_of_direction(c: char) -> bool {
    matches!(c, '\u{200e}' | '\u{200f}' | '\u{061c}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
}

fn checked(text: &str) -> Result<&str, AnnotationError> {
    let text = text.trim();
    let sized = (1..=TEXT_CHARS_MAX).contains(&text.chars().count());
    let visible = !text.chars().any(|c| c.is_control() || is_of_direction(c));
    if sized && visible { Ok(text) } else { Err(AnnotationError::Text) }
}

async fn rows(db: &Db, site: SiteId, [from, to]: [Day; 2]) -> Result<Vec<AnnotationRow>, Error> {
    let query = db.query(include_str!("annotation/of_site.sql")).param("site", site);
    query.param("from", from.0).param("to", to.0).fetch_all().await
}

const EVER: [Day; 2] = [Day(0), Day::MAX];

/// The annotations of a site between two days, the earliest first.
///
/// # Errors
/// When ClickHouse cannot be queried.
pub async fn between(db: &Db, site: SiteId, days: [Date; 2]) -> Result<Vec<Annotation>, Error> {
    Ok(rows(db, site, days.map(Day::of)).await?.into_iter().map(Annotation::from).collect())
}

/// All annotations of a site, the earliest first.
///
/// # Errors
/// When ClickHouse cannot be queried.
pub async fn all(db: &Db, site: SiteId) -> Result<Vec<Annotation>, Error> {
    Ok(rows(db, site, EVER).await?.into_iter().map(Annotation::from).collect())
}

/// Adds an annotation. Blanks around the text are left out.
///
/// # Errors
/// When the text is not allowed, there are too many, or ClickHouse cannot be queried.
pub async fn add(db: &Db, site: SiteId, at: Moment, text: &str) -> Result<Annotation, AnnotationError> {
    let text = checked(text)?;
    if rows(db, site, EVER).await?.len() >= ANNOTATIONS_MAX {
        return Err(AnnotationError::TooMany);
    }
    let row = AnnotationRow {
        id: AnnotationId::random()?,
        site,
        day: Day::of(at.day),
        minute: at.minute(),
        text: text.to_owned(),
        created: now_ms(),
        version: version(),
        deleted: 0,
    };
    let (id, created_ms) = (row.id, row.created);
    let added = Annotation { id, at, text: row.text.clone(), created_ms };
    write(db, [row]).await?;
    Ok(added)
}

/// Removes an annotation. Returns whether there was one.
///
/// # Errors
/// When ClickHouse cannot be queried.
pub async fn remove(db: &Db, site: SiteId, id: AnnotationId) -> Result<bool, AnnotationError> {
    let known = rows(db, site, EVER).await?.into_iter().find(|row| row.id == id);
    let Some(row) = known else { return Ok(false) };
    write(db, [row.removed()]).await?;
    Ok(true)
}

async fn write(db: &Db, rows: impl IntoIterator<Item = AnnotationRow>) -> Result<(), Error> {
    let mut insert = db.client().insert::<AnnotationRow>("annotations").await?;
    for row in rows {
        insert.write(&row).await?;
    }
    insert.end().await
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_at_the_limit_is_accepted_and_a_longer_or_invisible_one_is_not() {
        assert_eq!(checked("  Sale ").unwrap(), "Sale");
        assert!(checked(&"ä".repeat(TEXT_CHARS_MAX)).is_ok());
        for text in
            ["", "  ", &"ä".repeat(TEXT_CHARS_MAX + 1), "a\nb", "a\u{202e}b", "\u{2066}a", "a\u{200f}"]
        {
            assert!(matches!(checked(text), Err(AnnotationError::Text)), "{text:?}");
        }
    }

    #[test]
    fn moment_is_a_day_with_or_without_a_time_and_comes_back_as_it_was_stored() {
        let row = |at: Moment| AnnotationRow {
            id: AnnotationId(1),
            site: SiteId(1),
            day: Day::of(at.day),
            minute: at.minute(),
            text: "Sale".into(),
            created: 0,
            version: 0,
            deleted: 0,
        };
        for (typed, read) in [
            ("2026-11-27", "2026-11-27"),
            (" 2026-11-27 13:05 ", "2026-11-27 13:05"),
            ("2026-11-27T00:00", "2026-11-27 00:00"),
            ("2026-11-27 23:59", "2026-11-27 23:59"),
            ("1970-01-01", "1970-01-01"),
            ("2148-12-31", "2148-12-31"),
        ] {
            let at = Moment::parse(typed).unwrap();
            assert_eq!(at.to_string(), read);
            assert_eq!(Annotation::from(row(at)).at, at, "{typed}");
        }
        for typed in
            ["", "today", "2026-02-30", "2026-11-27 24:00", "2026-11-27 1", "1969-12-31", "2149-01-01"]
        {
            assert!(matches!(Moment::parse(typed), Err(AnnotationError::Moment)), "{typed}");
        }
    }
}
