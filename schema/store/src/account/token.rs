//! API tokens: shown once, stored as a hash.

use clickhouse::{Row, error::Error};
use serde::{Deserialize, Serialize};
use serde_repr::{Deserialize_repr, Serialize_repr};
use sotto_schema::{
    clock::{now_ms, version},
    day::Day,
    id::{SiteId, TokenId, UserId},
};

use super::{AccountError, Member, Role, random_secret, role_of, secret_hash};
use crate::db::Db;

/// The longest name of a token, in characters.
pub const TOKEN_NAME_CHARS_MAX: usize = 100;
/// How many tokens there may be.
pub const TOKENS_MAX: usize = 1_000;
/// How many days a token may be valid, unless it has no end.
pub const TOKEN_DAYS_MAX: u32 = 1_100;
/// When a token without an end expires: 1 January 2100, in milliseconds since 1970-01-01 UTC.
const NO_END_MS: i64 = 4_102_444_800_000;
const DAY_MS: i64 = 86_400_000;
/// Token prefix, so that secret scanners recognise leaked ones.
const PREFIX: &str = "sotto_";

/// What a token may do.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize_repr, Deserialize_repr)]
#[repr(i8)]
pub enum Scope {
    /// Read reports.
    Read = 1,
    /// Also send events on behalf of visitors.
    Write = 2,
    /// Also change sites, goals and shared links.
    Manage = 3,
}

impl Scope {
    /// All scopes, smallest first.
    pub const ALL: [Self; 3] = [Self::Read, Self::Write, Self::Manage];

    /// The name as typed and stored.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Read => "read",
            Self::Write => "write",
            Self::Manage => "manage",
        }
    }

    /// The scope of that name.
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|s| s.name() == name)
    }
}

/// A token as it is listed: without its secret.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Token {
    /// Number in the tables.
    pub id: TokenId,
    /// What it is for.
    pub name: String,
    /// The site it may read; 0 stands for all sites.
    pub site: SiteId,
    /// What it may do.
    pub scope: Scope,
    /// When it was made, in milliseconds since 1970-01-01 UTC.
    pub created_ms: i64,
    /// Who made it; 0 stands for the command line.
    pub user: UserId,
    /// When it expires, in milliseconds since 1970-01-01 UTC; `None`: never.
    pub expires_ms: Option<i64>,
    /// The last day on which it was used, in UTC; `None`: never, or longer ago than that is kept.
    pub used: Option<Day>,
}

/// What somebody asks for who makes a token.
#[derive(Debug, Clone, Copy)]
pub struct NewToken<'a> {
    /// What it is for.
    pub name: &'a str,
    /// The site it may read; 0 stands for all sites.
    pub site: SiteId,
    /// What it may do.
    pub scope: Scope,
    /// How many days it is valid, 1 to [`TOKEN_DAYS_MAX`]; `None`: it has no end.
    pub days: Option<u32>,
}

/// A newly issued token.
pub struct IssuedToken {
    /// As it will be listed.
    pub token: Token,
    /// The secret that the program sends; shown only now.
    pub secret: String,
}

/// What a request with a valid token may do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Bearer {
    /// Which token it is.
    pub token: TokenId,
    /// The site it may read; 0 stands for all sites.
    pub site: SiteId,
    /// What it may do.
    pub scope: Scope,
    /// When it expires, in milliseconds since 1970-01-01 UTC.
    pub expires_ms: i64,
    /// The last day on which it was used, in UTC, if that was noted.
    pub used: Option<Day>,
}

impl Bearer {
    /// Whether it has not expired.
    pub fn is_in_force(&self) -> bool {
        self.expires_ms > now_ms()
    }
}

#[derive(Row, Serialize, Deserialize)]
struct TokenRow {
    id: TokenId,
    hash: [u8; 32],
    name: String,
    site: SiteId,
    scope: Scope,
    created: i64,
    user: UserId,
    version: u64,
    deleted: u8,
    expires: i64,
}

/// A token, and the last day on which it was used.
#[derive(Row, Deserialize)]
struct UsedRow {
    id: TokenId,
    hash: [u8; 32],
    name: String,
    site: SiteId,
    scope: Scope,
    created: i64,
    user: UserId,
    version: u64,
    deleted: u8,
    expires: i64,
    used: u16,
}

impl UsedRow {
    fn used(&self) -> Option<Day> {
        (self.used > 0).then_some(Day(self.used))
    }

    fn bearer(&self) -> Bearer {
        let used = self.used();
        Bearer { token: self.id, site: self.site, scope: self.scope, expires_ms: self.expires, used }
    }
}

impl From<UsedRow> for TokenRow {
    fn from(row: UsedRow) -> Self {
        let UsedRow { id, hash, name, site, scope, created, user, version, deleted, expires, .. } = row;
        Self { id, hash, name, site, scope, created, user, version, deleted, expires }
    }
}

impl From<&TokenRow> for Token {
    fn from(row: &TokenRow) -> Self {
        Self {
            id: row.id,
            name: row.name.clone(),
            site: row.site,
            scope: row.scope,
            created_ms: row.created,
            user: row.user,
            expires_ms: (row.expires < NO_END_MS).then_some(row.expires),
            used: None,
        }
    }
}

/// Tokens that are neither removed nor expired.
async fn rows(db: &Db) -> Result<Vec<UsedRow>, Error> {
    db.query(include_str!("tokens.sql")).param("now", now_ms()).fetch_all().await
}

/// All tokens in force, oldest first.
///
/// # Errors
/// When ClickHouse cannot be queried.
pub async fn tokens(db: &Db) -> Result<Vec<Token>, AccountError> {
    let token = |row: UsedRow| {
        let used = row.used();
        Token { used, ..Token::from(&TokenRow::from(row)) }
    };
    Ok(rows(db).await?.into_iter().map(token).collect())
}

fn check_name(name: &str) -> Result<(), AccountError> {
    let allowed = (1..=TOKEN_NAME_CHARS_MAX).contains(&name.chars().count());
    if allowed { Ok(()) } else { Err(AccountError::TokenName) }
}

/// Makes a token. `user` is who makes it; 0 stands for the command line.
///
/// # Errors
/// When the name or the number of days is not allowed, there are too many, or ClickHouse cannot be queried.
pub async fn issue(db: &Db, user: UserId, asked: NewToken<'_>) -> Result<IssuedToken, AccountError> {
    let name = asked.name.trim();
    check_name(name)?;
    if asked.days.is_some_and(|days| !(1..=TOKEN_DAYS_MAX).contains(&days)) {
        return Err(AccountError::TokenDays);
    }
    if rows(db).await?.len() >= TOKENS_MAX {
        return Err(AccountError::TooMany(TOKENS_MAX));
    }
    let secret = format!("{PREFIX}{}", random_secret()?.0);
    let row = TokenRow {
        id: TokenId::random()?,
        hash: secret_hash(&secret),
        name: name.to_owned(),
        site: asked.site,
        scope: asked.scope,
        created: now_ms(),
        user,
        version: version(),
        deleted: 0,
        expires: asked.days.map_or(NO_END_MS, |days| now_ms() + i64::from(days) * DAY_MS),
    };
    write(db, &row).await?;
    Ok(IssuedToken { token: Token::from(&row), secret })
}

/// Removes a token; requests with it are refused from then on. Returns whether there was one.
///
/// # Errors
/// When ClickHouse cannot be queried.
pub async fn remove(db: &Db, id: TokenId) -> Result<bool, AccountError> {
    let Some(row) = rows(db).await?.into_iter().find(|t| t.id == id) else { return Ok(false) };
    write(db, &TokenRow { version: version(), deleted: 1, ..row.into() }).await?;
    Ok(true)
}

/// Removes the tokens of a user that they may not make with these roles.
pub(super) async fn remove_unowned(db: &Db, user: UserId, roles: &[Member]) -> Result<(), Error> {
    let own = rows(db).await?.into_iter().filter(|token| token.user == user);
    for row in own.filter(|token| role_of(roles, token.site) != Some(Role::Owner)) {
        write(db, &TokenRow { version: version(), deleted: 1, ..row.into() }).await?;
    }
    Ok(())
}

/// The hashes of all tokens and what each allows, for callers that check tokens without a query.
///
/// # Errors
/// When ClickHouse cannot be queried.
pub async fn credentials(db: &Db) -> Result<Vec<([u8; 32], Bearer)>, AccountError> {
    Ok(rows(db).await?.iter().map(|row| (row.hash, row.bearer())).collect())
}

/// What a request with this token may do, if the token is valid.
///
/// # Errors
/// When ClickHouse cannot be queried.
pub async fn bearer(db: &Db, secret: &str) -> Result<Option<Bearer>, AccountError> {
    let found: Option<UsedRow> = db
        .query(include_str!("token_by_hash.sql"))
        .param("now", now_ms())
        .param("hash", const_hex::encode(secret_hash(secret)))
        .fetch_optional()
        .await?;
    Ok(found.map(|row| row.bearer()))
}

/// Remembers the day on which a token was used, and nothing of what for.
///
/// # Errors
/// When ClickHouse cannot be queried.
pub async fn note_use(db: &Db, id: TokenId, day: Day) -> Result<(), AccountError> {
    #[derive(Row, Serialize)]
    struct DayRow {
        id: TokenId,
        day: u16,
    }
    let mut insert = db.client().insert::<DayRow>("token_days").await?;
    insert.write(&DayRow { id, day: day.0 }).await?;
    Ok(insert.end().await?)
}

async fn write(db: &Db, row: &TokenRow) -> Result<(), Error> {
    let mut insert = db.client().insert::<TokenRow>("tokens").await?;
    insert.write(row).await?;
    insert.end().await
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn token_name_at_a_limit_is_accepted_and_one_beyond_is_not() {
        assert!(check_name(&"ä".repeat(TOKEN_NAME_CHARS_MAX)).is_ok());
        assert!(check_name(&"ä".repeat(TOKEN_NAME_CHARS_MAX + 1)).is_err());
        assert!(check_name("").is_err());
    }
}
