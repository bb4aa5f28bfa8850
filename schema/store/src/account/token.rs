//! API tokens: shown once, stored as a hash.

use clickhouse::{Row, error::Error};
use serde::{Deserialize, Serialize};
use serde_repr::{Deserialize_repr, Serialize_repr};
use sotto_schema::{
    clock::{now_ms, version},
    id::{SiteId, TokenId, UserId},
};

use super::{AccountError, Member, Role, random_secret, role_of, secret_hash};
use crate::db::Db;

/// The longest name of a token, in characters.
pub const TOKEN_NAME_CHARS_MAX: usize = 100;
/// How many tokens there may be.
pub const TOKENS_MAX: usize = 1_000;
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
}

impl Scope {
    /// All scopes, smallest first.
    pub const ALL: [Self; 2] = [Self::Read, Self::Write];

    /// The name as typed and stored.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Read => "read",
            Self::Write => "write",
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
        }
    }
}

async fn rows(db: &Db) -> Result<Vec<TokenRow>, Error> {
    db.query(include_str!("tokens.sql")).fetch_all().await
}

/// All tokens, oldest first.
///
/// # Errors
/// When ClickHouse cannot be queried.
pub async fn tokens(db: &Db) -> Result<Vec<Token>, AccountError> {
    Ok(rows(db).await?.iter().map(Token::from).collect())
}

fn check_name(name: &str) -> Result<(), AccountError> {
    let allowed = (1..=TOKEN_NAME_CHARS_MAX).contains(&name.chars().count());
    if allowed { Ok(()) } else { Err(AccountError::TokenName) }
}

/// Makes a token for a site (0: for all sites). `user` is who makes it; 0 stands for the command line.
///
/// # Errors
/// When the name is not allowed, there are too many, or ClickHouse cannot be queried.
pub async fn issue(
    db: &Db,
    user: UserId,
    name: &str,
    site: SiteId,
    scope: Scope,
) -> Result<IssuedToken, AccountError> {
    let name = name.trim();
    check_name(name)?;
    if rows(db).await?.len() >= TOKENS_MAX {
        return Err(AccountError::TooMany(TOKENS_MAX));
    }
    let secret = format!("{PREFIX}{}", random_secret()?.0);
    let row = TokenRow {
        id: TokenId::random()?,
        hash: secret_hash(&secret),
        name: name.to_owned(),
        site,
        scope,
        created: now_ms(),
        user,
        version: version(),
        deleted: 0,
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
    write(db, &TokenRow { version: version(), deleted: 1, ..row }).await?;
    Ok(true)
}

/// Removes the tokens of a user that they may not make with these roles.
pub(super) async fn remove_unowned(db: &Db, user: UserId, roles: &[Member]) -> Result<(), Error> {
    let own = rows(db).await?.into_iter().filter(|token| token.user == user);
    for row in own.filter(|token| role_of(roles, token.site) != Some(Role::Owner)) {
        write(db, &TokenRow { version: version(), deleted: 1, ..row }).await?;
    }
    Ok(())
}

/// The hashes of all tokens and what each allows, for callers that check tokens without a query.
///
/// # Errors
/// When ClickHouse cannot be queried.
pub async fn credentials(db: &Db) -> Result<Vec<([u8; 32], Bearer)>, AccountError> {
    let bearer = |row: &TokenRow| (row.hash, Bearer { token: row.id, site: row.site, scope: row.scope });
    Ok(rows(db).await?.iter().map(bearer).collect())
}

/// What a request with this token may do, if the token is valid.
///
/// # Errors
/// When ClickHouse cannot be queried.
pub async fn bearer(db: &Db, secret: &str) -> Result<Option<Bearer>, AccountError> {
    let found: Option<TokenRow> = db
        .query(include_str!("token_by_hash.sql"))
        .param("hash", const_hex::encode(secret_hash(secret)))
        .fetch_optional()
        .await?;
    Ok(found.map(|row| Bearer { token: row.id, site: row.site, scope: row.scope }))
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
