//! Who gets mail about a site, and which letters were sent.
//!
//! Promises: only members are subscribed, by their number, so that no address is stored here; of the link in a letter that
//! ends its subscription, only a hash is. A letter is accepted by the mail server **at most once**: an attempt is written
//! before it is made, and only one that the server has refused for now is followed by another. What a crash or a broken
//! connection leaves undecided is not tried again: a report that is missing is noticed less than one that comes twice.
//!
//! Whether somebody may still read the site is for the sender to check, each time.

use std::collections::BTreeMap;

use clickhouse::{Row, error::Error};
use serde::{Deserialize, Serialize};
use sotto_schema::{
    clock::{now_ms, version},
    id::{SiteId, UserId},
};

use crate::db::Db;

/// What mail is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Kind {
    /// A report of each week.
    Weekly,
    /// A report of each month.
    Monthly,
    /// What is unusual, when it is.
    Alerts,
}

impl Kind {
    /// All of them.
    pub const ALL: [Self; 3] = [Self::Weekly, Self::Monthly, Self::Alerts];

    /// The name as stored and sent by forms.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Weekly => "weekly",
            Self::Monthly => "monthly",
            Self::Alerts => "alerts",
        }
    }

    /// The kind of that name.
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| kind.name() == name)
    }
}

/// Somebody gets mail of a kind about a site.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Subscription {
    /// The site.
    pub site: SiteId,
    /// Who gets it.
    pub user: UserId,
    /// What they get.
    pub kind: Kind,
    /// Who subscribed them.
    pub made_by: UserId,
    /// When, in milliseconds since 1970-01-01 UTC.
    pub created_ms: i64,
}

/// One letter: what it is about and for whom.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct LetterId {
    /// The site.
    pub site: SiteId,
    /// Who gets it.
    pub user: UserId,
    /// What kind it is of.
    pub kind: Kind,
    /// Which one of its kind, like `2026-11-23` of the week that began then.
    pub period: String,
}

/// What became of an attempt to send a letter.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum State {
    /// It was begun; nobody knows how it ended.
    Begun,
    /// The server refused it for now.
    Deferred,
    /// The server refused it for good.
    Refused,
    /// The server accepted it.
    Sent,
}

impl State {
    const ALL: [Self; 4] = [Self::Begun, Self::Deferred, Self::Refused, Self::Sent];

    /// The name as stored.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Begun => "begun",
            Self::Deferred => "deferred",
            Self::Refused => "refused",
            Self::Sent => "sent",
        }
    }

    /// What is stored and not known is as if it had been begun: it is not tried again.
    pub(crate) fn from_name(name: &str) -> Self {
        Self::ALL.into_iter().find(|state| state.name() == name).unwrap_or(Self::Begun)
    }
}

/// One attempt to send a letter.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Attempt {
    /// Which one, from 1.
    pub number: u8,
    /// What became of it.
    pub state: State,
    /// The hash of the link in it that ends the subscription.
    pub secret: [u8; 32],
    /// When, in milliseconds since 1970-01-01 UTC.
    pub time_ms: i64,
}

/// The last attempt of each letter.
pub type Deliveries = BTreeMap<LetterId, Attempt>;

#[derive(Row, Serialize, Deserialize)]
struct SubscriptionRow {
    site: SiteId,
    user: UserId,
    kind: String,
    made_by: UserId,
    created: i64,
    version: u64,
    deleted: u8,
}

#[derive(Row, Serialize, Deserialize)]
struct DeliveryRow {
    site: SiteId,
    user: UserId,
    kind: String,
    period: String,
    attempt: u8,
    state: String,
    secret: [u8; 32],
    time: i64,
    version: u64,
}

/// The subscriptions of a site (0: of all sites).
///
/// # Errors
/// When ClickHouse cannot be queried.
pub async fn all(db: &Db, site: SiteId) -> Result<Vec<Subscription>, Error> {
    let query = db.query(include_str!("subscription/all.sql"));
    let rows: Vec<SubscriptionRow> = query.param("site", site).fetch_all().await?;
    let known = |row: SubscriptionRow| {
        let SubscriptionRow { site, user, kind, made_by, created, .. } = row;
        Some(Subscription { site, user, kind: Kind::from_name(&kind)?, made_by, created_ms: created })
    };
    Ok(rows.into_iter().filter_map(known).collect())
}

/// Subscribes a user, unless they are; whether they may be is for the caller to check. Returns whether they were not.
///
/// # Errors
/// When ClickHouse cannot be queried.
pub async fn add(
    db: &Db,
    (site, user, kind): (SiteId, UserId, Kind),
    made_by: UserId,
) -> Result<bool, Error> {
    if all(db, site).await?.iter().any(|known| (known.user, known.kind) == (user, kind)) {
        return Ok(false);
    }
    write(db, (site, user, kind), made_by, 0).await?;
    Ok(true)
}

/// Ends a subscription. Returns whether there was one.
///
/// # Errors
/// When ClickHouse cannot be queried.
pub async fn remove(db: &Db, (site, user, kind): (SiteId, UserId, Kind)) -> Result<bool, Error> {
    let known = all(db, site).await?;
    let Some(known) = known.iter().find(|known| (known.user, known.kind) == (user, kind)) else {
        return Ok(false);
    };
    write(db, (site, user, kind), known.made_by, 1).await?;
    Ok(true)
}

/// Ends all subscriptions of a user who is removed.
///
/// # Errors
/// When ClickHouse cannot be queried.
pub async fn remove_user(db: &Db, user: UserId) -> Result<(), Error> {
    remove_where(db, |known| known.user == user).await
}

async fn remove_where(db: &Db, which: impl Fn(&Subscription) -> bool) -> Result<(), Error> {
    for known in all(db, SiteId::NONE).await?.into_iter().filter(which) {
        write(db, (known.site, known.user, known.kind), known.made_by, 1).await?;
    }
    Ok(())
}

/// The last attempts of all letters since a moment, in milliseconds since 1970-01-01 UTC.
///
/// # Errors
/// When ClickHouse cannot be queried.
pub async fn deliveries(db: &Db, since_ms: i64) -> Result<Deliveries, Error> {
    let query = db.query(include_str!("subscription/deliveries.sql"));
    let rows: Vec<DeliveryRow> = query.param("since", since_ms).fetch_all().await?;
    let known = |row: DeliveryRow| {
        let DeliveryRow { site, user, kind, period, attempt, state, secret, time, .. } = row;
        let letter = LetterId { site, user, kind: Kind::from_name(&kind)?, period };
        let state = State::from_name(&state);
        Some((letter, Attempt { number: attempt, state, secret, time_ms: time }))
    };
    // Of a letter, the last attempt comes last.
    Ok(rows.into_iter().filter_map(known).collect())
}

/// Notes an attempt, or what became of it.
///
/// # Errors
/// When ClickHouse cannot be queried; whether it was noted is unknown.
pub async fn note(db: &Db, letter: &LetterId, attempt: &Attempt) -> Result<(), Error> {
    let mut insert = db.client().insert::<DeliveryRow>("mail_deliveries").await?;
    let row = DeliveryRow {
        site: letter.site,
        user: letter.user,
        kind: letter.kind.name().to_owned(),
        period: letter.period.clone(),
        attempt: attempt.number,
        state: attempt.state.name().to_owned(),
        secret: attempt.secret,
        time: attempt.time_ms,
        version: version(),
    };
    insert.write(&row).await?;
    insert.end().await
}

/// What the link in a letter ends, by the hash of its secret; it is looked up by the hash, so that the secret is in no query.
///
/// # Errors
/// When ClickHouse cannot be queried.
pub async fn of_secret(db: &Db, secret: [u8; 32]) -> Result<Option<(SiteId, UserId, Kind)>, Error> {
    #[derive(Row, Deserialize)]
    struct FoundRow {
        site: SiteId,
        user: UserId,
        kind: String,
    }
    let query = db.query(include_str!("subscription/of_secret.sql"));
    let found: Option<FoundRow> = query.param("secret", const_hex::encode(secret)).fetch_optional().await?;
    Ok(found.and_then(|row| Some((row.site, row.user, Kind::from_name(&row.kind)?))))
}

async fn write(
    db: &Db,
    (site, user, kind): (SiteId, UserId, Kind),
    made_by: UserId,
    deleted: u8,
) -> Result<(), Error> {
    let mut insert = db.client().insert::<SubscriptionRow>("subscriptions").await?;
    let kind = kind.name().to_owned();
    let row = SubscriptionRow { site, user, kind, made_by, created: now_ms(), version: version(), deleted };
    insert.write(&row).await?;
    insert.end().await
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn stored_name_is_read_back_and_an_unknown_state_is_never_tried_again() {
        for kind in Kind::ALL {
            assert_eq!(Kind::from_name(kind.name()), Some(kind));
        }
        for state in State::ALL {
            assert_eq!(State::from_name(state.name()), state);
        }
        assert_eq!((Kind::from_name("daily"), State::from_name("lost")), (None, State::Begun));
    }
}
