//! Webhooks: which servers are told of a site's goals and alerts, and what became of it.
//!
//! Promises: the address and the secret that signs are stored sealed under the account key, so that a copy of the database
//! tells neither; an attempt is written before it is made. It knows no HTTP: what an address may be is for the caller to
//! check.

use std::collections::BTreeMap;

use clickhouse::{Row, error::Error};
use serde::{Deserialize, Serialize};
use sotto_schema::{
    clock::{now_ms, version},
    id::{HookId, SiteId, UserId},
};
use zeroize::Zeroizing;

use crate::{
    account::{AccountKey, KeyError, Purpose},
    db::Db,
    subscription::State,
};

/// How many webhooks a site may have.
pub const HOOKS_MAX: usize = 10;
/// Length of the secret that signs, in bytes.
pub const SECRET_BYTES: usize = 32;

/// What a webhook is told.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Kind {
    /// How many visits reached each goal on the day that is over.
    Goals,
    /// What is unusual, when it is.
    Alerts,
}

impl Kind {
    /// All of them.
    pub const ALL: [Self; 2] = [Self::Goals, Self::Alerts];

    /// The name as stored and typed.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Goals => "goals",
            Self::Alerts => "alerts",
        }
    }

    /// The kind of that name.
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| kind.name() == name)
    }
}

/// What the body of a message looks like.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Format {
    /// Figures with names, for programs.
    Json,
    /// `{"text": …}`, as Slack, Mattermost and bridges to Matrix take it.
    Slack,
}

impl Format {
    /// The name as stored and typed.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Json => "json",
            Self::Slack => "slack",
        }
    }

    /// The format of that name.
    pub fn from_name(name: &str) -> Option<Self> {
        [Self::Json, Self::Slack].into_iter().find(|format| format.name() == name)
    }
}

/// Why a webhook cannot be added or read.
#[derive(Debug, thiserror::Error)]
pub enum HookError {
    /// The site has as many as it may.
    #[error("a site has at most {HOOKS_MAX} webhooks")]
    TooMany,
    /// The operating system gave no randomness.
    #[error("the operating system has no randomness")]
    Randomness(#[from] getrandom::Error),
    /// It cannot be sealed or opened.
    #[error(transparent)]
    Key(#[from] KeyError),
    /// ClickHouse refused or cannot be reached.
    #[error("cannot reach the database")]
    Database(#[from] Error),
}

/// A webhook of a site.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Hook {
    /// The site.
    pub site: SiteId,
    /// Its number.
    pub id: HookId,
    /// The host that is told.
    pub host: String,
    /// What it is told.
    pub kinds: Vec<Kind>,
    /// In which form.
    pub format: Format,
    /// Who added it.
    pub made_by: UserId,
    /// When, in milliseconds since 1970-01-01 UTC.
    pub created_ms: i64,
    sealed: String,
}

/// Where a webhook is, and what signs. It is never printed.
pub struct Target {
    /// The address.
    pub url: String,
    /// The secret.
    pub secret: Zeroizing<[u8; SECRET_BYTES]>,
}

impl Hook {
    /// Its address and secret.
    ///
    /// # Errors
    /// When the account key is another one, or what is stored was damaged.
    pub fn open(&self, key: &AccountKey) -> Result<Target, KeyError> {
        let text = key.open(Purpose::Hook, UserId(self.id.0), &self.sealed)?;
        let (secret, url) = text.split_first_chunk::<SECRET_BYTES>().ok_or(KeyError::Damaged)?;
        let url = std::str::from_utf8(url).map_err(|_| KeyError::Damaged)?.to_owned();
        Ok(Target { url, secret: Zeroizing::new(*secret) })
    }
}

/// One message: what it is about and for which webhook.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct MessageId {
    /// The site.
    pub site: SiteId,
    /// The webhook.
    pub hook: HookId,
    /// What kind it is of.
    pub kind: Kind,
    /// Which one of its kind, like the day.
    pub period: String,
}

/// One attempt to send a message.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Attempt {
    /// Which one, from 1.
    pub number: u8,
    /// What became of it.
    pub state: State,
    /// The status of the answer, 0 where there was none.
    pub code: u16,
    /// When, in milliseconds since 1970-01-01 UTC.
    pub time_ms: i64,
}

/// The last attempt of each message.
pub type Deliveries = BTreeMap<MessageId, Attempt>;

#[derive(Row, Serialize, Deserialize)]
struct HookRow {
    site: SiteId,
    id: HookId,
    host: String,
    kinds: Vec<String>,
    format: String,
    sealed: String,
    made_by: UserId,
    created: i64,
    version: u64,
    deleted: u8,
}

#[derive(Row, Serialize, Deserialize)]
struct DeliveryRow {
    site: SiteId,
    hook: HookId,
    kind: String,
    period: String,
    attempt: u8,
    state: String,
    code: u16,
    time: i64,
    version: u64,
}

/// The webhooks of a site (0: of all sites).
///
/// # Errors
/// When ClickHouse cannot be queried.
pub async fn all(db: &Db, site: SiteId) -> Result<Vec<Hook>, Error> {
    let query = db.query(include_str!("hook/all.sql"));
    let rows: Vec<HookRow> = query.param("site", site).fetch_all().await?;
    let known = |row: HookRow| {
        let HookRow { site, id, host, kinds, format, sealed, made_by, created, .. } = row;
        let kinds = kinds.iter().filter_map(|kind| Kind::from_name(kind)).collect();
        let format = Format::from_name(&format)?;
        Some(Hook { site, id, host, kinds, format, sealed, made_by, created_ms: created })
    };
    Ok(rows.into_iter().filter_map(known).collect())
}

/// What a new webhook is to be.
#[derive(Debug, Clone, Copy)]
pub struct NewHook<'a> {
    /// Its address, which the caller has checked.
    pub url: &'a str,
    /// The host in it.
    pub host: &'a str,
    /// What it is told.
    pub kinds: &'a [Kind],
    /// In which form.
    pub format: Format,
}

/// Adds a webhook; the secret is in what [`Hook::open`] gives.
///
/// # Errors
/// When the site has as many as it may, it cannot be sealed, or ClickHouse cannot be queried.
pub async fn add(
    db: &Db,
    key: &AccountKey,
    site: SiteId,
    made_by: UserId,
    new: NewHook<'_>,
) -> Result<Hook, HookError> {
    if all(db, site).await?.len() >= HOOKS_MAX {
        return Err(HookError::TooMany);
    }
    let id = HookId::random()?;
    let mut secret = Zeroizing::new([0u8; SECRET_BYTES]);
    getrandom::fill(secret.as_mut_slice())?;
    let text = Zeroizing::new([secret.as_slice(), new.url.as_bytes()].concat());
    let hook = Hook {
        site,
        id,
        host: new.host.to_owned(),
        kinds: new.kinds.to_vec(),
        format: new.format,
        made_by,
        created_ms: now_ms(),
        sealed: key.seal(Purpose::Hook, UserId(id.0), &text)?,
    };
    write(db, &hook, 0).await?;
    Ok(hook)
}

/// Removes a webhook. Returns whether there was one.
///
/// # Errors
/// When ClickHouse cannot be queried.
pub async fn remove(db: &Db, site: SiteId, id: HookId) -> Result<bool, Error> {
    let known = all(db, site).await?;
    let Some(known) = known.iter().find(|known| known.id == id) else { return Ok(false) };
    write(db, known, 1).await?;
    Ok(true)
}

async fn write(db: &Db, hook: &Hook, deleted: u8) -> Result<(), Error> {
    let mut insert = db.client().insert::<HookRow>("hooks").await?;
    let row = HookRow {
        site: hook.site,
        id: hook.id,
        host: hook.host.clone(),
        kinds: hook.kinds.iter().map(|kind| kind.name().to_owned()).collect(),
        format: hook.format.name().to_owned(),
        sealed: hook.sealed.clone(),
        made_by: hook.made_by,
        created: hook.created_ms,
        version: version(),
        deleted,
    };
    insert.write(&row).await?;
    insert.end().await
}

/// The last attempts of all messages since a moment, in milliseconds since 1970-01-01 UTC.
///
/// # Errors
/// When ClickHouse cannot be queried.
pub async fn deliveries(db: &Db, since_ms: i64) -> Result<Deliveries, Error> {
    let query = db.query(include_str!("hook/deliveries.sql"));
    let rows: Vec<DeliveryRow> = query.param("since", since_ms).fetch_all().await?;
    let known = |row: DeliveryRow| {
        let DeliveryRow { site, hook, kind, period, attempt, state, code, time, .. } = row;
        let message = MessageId { site, hook, kind: Kind::from_name(&kind)?, period };
        let state = State::from_name(&state);
        Some((message, Attempt { number: attempt, state, code, time_ms: time }))
    };
    // Of a message, the last attempt comes last.
    Ok(rows.into_iter().filter_map(known).collect())
}

/// Notes an attempt, or what became of it.
///
/// # Errors
/// When ClickHouse cannot be queried; whether it was noted is unknown.
pub async fn note(db: &Db, message: &MessageId, attempt: &Attempt) -> Result<(), Error> {
    let mut insert = db.client().insert::<DeliveryRow>("hook_deliveries").await?;
    let row = DeliveryRow {
        site: message.site,
        hook: message.hook,
        kind: message.kind.name().to_owned(),
        period: message.period.clone(),
        attempt: attempt.number,
        state: attempt.state.name().to_owned(),
        code: attempt.code,
        time: attempt.time_ms,
        version: version(),
    };
    insert.write(&row).await?;
    insert.end().await
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sealed_webhook_opens_for_its_own_number_only() {
        let key = AccountKey::of_file(&[7; 32]).unwrap();
        let text = [&[9u8; SECRET_BYTES][..], b"https://a.example/"].concat();
        let sealed = key.seal(Purpose::Hook, UserId(1), &text).unwrap();
        let hook = |id| Hook {
            site: SiteId(1),
            id: HookId(id),
            host: "a.example".into(),
            kinds: Kind::ALL.to_vec(),
            format: Format::Json,
            made_by: UserId(1),
            created_ms: 0,
            sealed: sealed.clone(),
        };
        let target = hook(1).open(&key).unwrap();
        assert_eq!((target.url.as_str(), *target.secret), ("https://a.example/", [9; SECRET_BYTES]));
        assert_eq!(hook(2).open(&key).err(), Some(KeyError::Damaged));
        assert_eq!(hook(1).open(&AccountKey::of_file(&[8; 32]).unwrap()).err(), Some(KeyError::Other));
    }
}
