//! Sign-in sessions. The cookie's value is random and only its hash is stored, so that neither a copy of the
//! database nor a guess signs anybody in.

use clickhouse::{Row, error::Error};
use serde::{Deserialize, Serialize};
use sotto_schema::{
    clock::{now_ms, version},
    id::UserId,
};

use super::{AccountError, User, random_secret, secret_hash};
use crate::db::Db;

/// How many days a sign-in lasts after its last use.
pub const SIGN_IN_DAYS: i64 = 14;
const DAY_MS: i64 = 86_400_000;

/// A signed-in browser.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SignIn {
    /// Who signed in.
    pub user: User,
    /// Whether the cookie should be sent again because its lifetime was extended.
    pub extended: bool,
    /// The hash of the cookie's value.
    pub id: [u8; 32],
    /// Signs links of this browser. Nobody knows it without the database: it ends with the sign-in, the user and their password.
    pub link_key: [u8; 32],
}

/// Purpose of [`SignIn::link_key`].
const LINK_CONTEXT: &str = "Sotto 2026-11 links of a signed-in browser";

/// A session as its owner sees it. Where it is used from is not kept.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Session {
    /// The hash of the cookie's value.
    pub id: [u8; 32],
    /// When it began, in milliseconds since 1970-01-01 UTC.
    pub created_ms: i64,
    /// When it was last extended, in milliseconds since 1970-01-01 UTC: the last use is less than a day later.
    pub extended_ms: i64,
}

#[derive(Row, Serialize, Deserialize)]
struct SignInRow {
    id: [u8; 32],
    user: UserId,
    created: i64,
    expires: i64,
    version: u64,
    deleted: u8,
}

#[derive(Row, Deserialize)]
struct FoundRow {
    id: [u8; 32],
    user: UserId,
    created: i64,
    expires: i64,
    email: String,
    name: String,
    joined: i64,
    password: String,
}

impl FoundRow {
    fn sign_in(self, extended: bool) -> SignIn {
        let link_key = blake3::derive_key(LINK_CONTEXT, &[&self.id, self.password.as_bytes()].concat());
        let user = User { id: self.user, email: self.email, name: self.name, created_ms: self.joined };
        SignIn { user, extended, id: self.id, link_key }
    }
}

/// Signs a user in. Returns the cookie's value, which is not stored.
///
/// # Errors
/// When ClickHouse cannot be queried.
pub async fn begin(db: &Db, user: UserId) -> Result<String, AccountError> {
    let (secret, id) = random_secret()?;
    let now = now_ms();
    let row = SignInRow {
        id,
        user,
        created: now,
        expires: now + SIGN_IN_DAYS * DAY_MS,
        version: version(),
        deleted: 0,
    };
    write(db, &row).await?;
    Ok(secret)
}

async fn find(db: &Db, id: [u8; 32]) -> Result<Option<FoundRow>, Error> {
    let query = db.query(include_str!("sign_in.sql"));
    query.param("id", const_hex::encode(id)).param("now", now_ms()).fetch_optional().await
}

/// The session of a cookie value, if it has not expired. Extends it, at most once a day.
///
/// # Errors
/// When ClickHouse cannot be queried.
pub async fn resume(db: &Db, secret: &str) -> Result<Option<SignIn>, AccountError> {
    let Some(found) = find(db, secret_hash(secret)).await? else { return Ok(None) };
    let now = now_ms();
    let extended = should_extend(found.expires, now);
    if extended {
        let row = SignInRow {
            id: found.id,
            user: found.user,
            created: found.created,
            expires: now + SIGN_IN_DAYS * DAY_MS,
            version: version(),
            deleted: 0,
        };
        write(db, &row).await?;
    }
    Ok(Some(found.sign_in(extended)))
}

/// The session with that id, if it has not expired; it is not extended. For links that carry a signature of it.
///
/// # Errors
/// When ClickHouse cannot be queried.
pub async fn signed_in(db: &Db, id: [u8; 32]) -> Result<Option<SignIn>, AccountError> {
    Ok(find(db, id).await?.map(|found| found.sign_in(false)))
}

fn should_extend(expires_ms: i64, now_ms: i64) -> bool {
    expires_ms - now_ms < (SIGN_IN_DAYS - 1) * DAY_MS
}

/// Signs a browser out.
///
/// # Errors
/// When ClickHouse cannot be queried.
pub async fn end(db: &Db, secret: &str) -> Result<(), AccountError> {
    let Some(found) = find(db, secret_hash(secret)).await? else { return Ok(()) };
    let row = SignInRow {
        id: found.id,
        user: found.user,
        created: found.created,
        expires: found.expires,
        version: version(),
        deleted: 1,
    };
    Ok(write(db, &row).await?)
}

/// Signs a user out everywhere.
///
/// # Errors
/// When ClickHouse cannot be queried.
pub async fn end_all(db: &Db, user: UserId) -> Result<(), AccountError> {
    let query = db.query(include_str!("end_sign_ins.sql")).param("user", user).param("version", version());
    Ok(query.param("kept", "").execute().await?)
}

async fn rows_of(db: &Db, user: UserId) -> Result<Vec<SignInRow>, Error> {
    let query = db.query(include_str!("sign_ins_of.sql"));
    query.param("user", user).param("now", now_ms()).fetch_all().await
}

/// The sessions of a user that have not expired, newest first; at most 200.
///
/// # Errors
/// When ClickHouse cannot be queried.
pub async fn sessions(db: &Db, user: UserId) -> Result<Vec<Session>, AccountError> {
    let session = |row: &SignInRow| Session {
        id: row.id,
        created_ms: row.created,
        extended_ms: row.expires - SIGN_IN_DAYS * DAY_MS,
    };
    Ok(rows_of(db, user).await?.iter().map(session).collect())
}

/// Ends one session of a user; whether there was one.
///
/// # Errors
/// When ClickHouse cannot be queried.
pub async fn end_one(db: &Db, user: UserId, id: [u8; 32]) -> Result<bool, AccountError> {
    let Some(row) = rows_of(db, user).await?.into_iter().find(|row| row.id == id) else { return Ok(false) };
    write(db, &SignInRow { version: version(), deleted: 1, ..row }).await?;
    Ok(true)
}

/// Ends all sessions of a user but the one of a cookie value.
///
/// # Errors
/// When ClickHouse cannot be queried.
pub async fn end_others(db: &Db, user: UserId, secret: &str) -> Result<(), AccountError> {
    let query = db.query(include_str!("end_sign_ins.sql")).param("user", user).param("version", version());
    Ok(query.param("kept", const_hex::encode(secret_hash(secret))).execute().await?)
}

async fn write(db: &Db, row: &SignInRow) -> Result<(), Error> {
    let mut insert = db.client().insert::<SignInRow>("sign_ins").await?;
    insert.write(row).await?;
    insert.end().await
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sign_in_is_extended_at_most_once_a_day() {
        let expires = SIGN_IN_DAYS * DAY_MS;
        assert!(!should_extend(expires, 0));
        assert!(!should_extend(expires, DAY_MS));
        assert!(should_extend(expires, DAY_MS + 1));
    }
}
