//! Who has access: users, their roles per site, sign-in sessions, API tokens, and the log of what they
//! changed.
//!
//! Promises: a password is kept only as an argon2id hash, a cookie or token only as a BLAKE3 hash, the secret
//! of two-step sign-in only sealed; the right password alone does not sign in a user with a second step
//! ([`Proof`]); removing a user ends their sign-ins, tokens and invitations; every list is bounded. Every change is one new row, so
//! that a crash leaves either the old or the new state. E-mail addresses are unique only within one process;
//! if two processes add the same address at the same instant, both succeed.

use clickhouse::{Row, error::Error};
use serde::{Deserialize, Serialize};
use sotto_schema::{
    clock::{now_ms, version},
    id::UserId,
};

use crate::{db::Db, segment, subscription};

mod invitation;
mod key;
mod member;
mod password;
mod sign_in;
mod token;
pub mod two_step;

pub use invitation::{
    INVITATION_DAYS, INVITATIONS_MAX, Invitation, accept, invitation, invitations, invite, may_invite,
    withdraw,
};
pub(crate) use key::Purpose;
pub use key::{ACCOUNT_KEY_BYTES, AccountKey, KeyError};
pub use member::{Member, Role, change_role, grant, members, revoke, role_of, roles_of_sign_in};
pub use password::{Hasher, PASSWORD_BYTES_MAX, PASSWORD_CHARS_MIN};
pub use sign_in::{
    SIGN_IN_DAYS, Session, SignIn, begin, end, end_all, end_one, end_others, resume, sessions, signed_in,
};
pub use token::{
    Bearer, IssuedToken, NewToken, Scope, TOKEN_DAYS_MAX, TOKEN_NAME_CHARS_MAX, TOKENS_MAX, Token, bearer,
    credentials, issue, note_use as note_token_use, remove as remove_token, tokens,
};

/// The longest e-mail address in bytes (RFC 5321, 4.5.3.1.3, without the angle brackets).
pub const EMAIL_BYTES_MAX: usize = 254;
/// The longest name of a person, in characters.
pub const USER_NAME_CHARS_MAX: usize = 100;
/// How many users there may be.
pub const USERS_MAX: usize = 10_000;

/// A user who can sign in.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct User {
    /// Number in the tables.
    pub id: UserId,
    /// E-mail address they sign in with, in lower case.
    pub email: String,
    /// What they are called; may be empty.
    pub name: String,
    /// When they were added, in milliseconds since 1970-01-01 UTC.
    pub created_ms: i64,
}

/// Why an account operation fails. The messages are shown to people.
#[derive(Debug, thiserror::Error)]
pub enum AccountError {
    /// See the message.
    #[error("this is no e-mail address; write it like name@example.org")]
    Email,
    /// See the message.
    #[error("a user with this e-mail address exists already")]
    EmailTaken,
    /// See the message.
    #[error("a password has {PASSWORD_CHARS_MIN} characters or more, and at most {PASSWORD_BYTES_MAX} bytes")]
    Password,
    /// See the message.
    #[error("the name must have 1 to {TOKEN_NAME_CHARS_MAX} characters")]
    TokenName,
    /// See the message.
    #[error("a token is valid for 1 to {TOKEN_DAYS_MAX} days, or has no end")]
    TokenDays,
    /// See the message.
    #[error("a person's name has at most {USER_NAME_CHARS_MAX} characters")]
    UserName,
    /// See the message.
    #[error("there are {0} already; remove one first")]
    TooMany(usize),
    /// See the message.
    #[error("there is no such user")]
    NoUser,
    /// See the message.
    #[error("this is the last owner; make somebody else an owner first")]
    LastOwner,
    /// The operating system provided no randomness, so no secret can be generated.
    #[error("the operating system has no randomness")]
    Randomness(#[from] getrandom::Error),
    /// The password could not be hashed; nothing was stored.
    #[error("the password could not be hashed")]
    Hashing,
    /// ClickHouse refused or cannot be reached; whether anything was stored is unknown.
    #[error("cannot reach the database")]
    Database(#[from] Error),
}

#[derive(Row, Serialize, Deserialize)]
struct UserRow {
    id: UserId,
    email: String,
    name: String,
    password: String,
    totp: String,
    created: i64,
    version: u64,
    deleted: u8,
}

impl From<&UserRow> for User {
    fn from(row: &UserRow) -> Self {
        Self { id: row.id, email: row.email.clone(), name: row.name.clone(), created_ms: row.created }
    }
}

/// Normalises an e-mail address for comparison.
///
/// # Errors
/// When it does not have the form `name@host`.
pub fn normalise_email(text: &str) -> Result<String, AccountError> {
    let email = text.trim().to_lowercase();
    let plain = |c: char| !c.is_whitespace() && !c.is_control();
    let shaped = email.len() <= EMAIL_BYTES_MAX
        && email.chars().all(plain)
        && email.split_once('@').is_some_and(|(name, host)| {
            !name.is_empty()
                && !host.contains('@')
                && !host.starts_with('.')
                && !host.ends_with('.')
                && !host.contains("..")
                && host.contains('.')
        });
    if shaped { Ok(email) } else { Err(AccountError::Email) }
}

/// All users, by e-mail address.
///
/// # Errors
/// When ClickHouse cannot be queried.
pub async fn users(db: &Db) -> Result<Vec<User>, AccountError> {
    let rows: Vec<UserRow> = db.query(include_str!("account/users.sql")).fetch_all().await?;
    Ok(rows.iter().map(User::from).collect())
}

async fn row_of(db: &Db, email: &str) -> Result<Option<UserRow>, Error> {
    db.query(include_str!("account/user_by_email.sql")).param("email", email).fetch_optional().await
}

/// The user who signs in with `email`.
///
/// # Errors
/// When ClickHouse cannot be queried.
pub async fn user(db: &Db, email: &str) -> Result<Option<User>, AccountError> {
    Ok(row_of(db, &email.trim().to_lowercase()).await?.as_ref().map(User::from))
}

/// Adds a user without any role; see [`grant`].
///
/// # Errors
/// When a value is not allowed, the address is taken, or ClickHouse cannot be queried.
pub async fn add_user(
    db: &Db,
    hasher: &Hasher,
    email: &str,
    name: &str,
    password: &str,
) -> Result<User, AccountError> {
    let row = new_user(db, hasher, email, name, password).await?;
    write(db, &row).await?;
    Ok(User::from(&row))
}

/// The row of a user who can be added.
async fn new_user(
    db: &Db,
    hasher: &Hasher,
    email: &str,
    name: &str,
    password: &str,
) -> Result<UserRow, AccountError> {
    let email = normalise_email(email)?;
    let name = name.trim();
    if name.chars().count() > USER_NAME_CHARS_MAX {
        return Err(AccountError::UserName);
    }
    password::check(password)?;
    if row_of(db, &email).await?.is_some() {
        return Err(AccountError::EmailTaken);
    }
    if users(db).await?.len() >= USERS_MAX {
        return Err(AccountError::TooMany(USERS_MAX));
    }
    Ok(UserRow {
        id: UserId::random()?,
        email,
        name: name.to_owned(),
        password: hasher.hash(password).await?,
        totp: String::new(),
        created: now_ms(),
        version: version(),
        deleted: 0,
    })
}

/// Changes a user's password and ends all their sign-ins.
///
/// # Errors
/// When the password is not allowed, there is no such user, or ClickHouse cannot be queried.
pub async fn set_password(
    db: &Db,
    hasher: &Hasher,
    email: &str,
    password: &str,
) -> Result<UserId, AccountError> {
    password::check(password)?;
    let row = row_of(db, &normalise_email(email)?).await?.ok_or(AccountError::NoUser)?;
    let password = hasher.hash(password).await?;
    let user = row.id;
    write(db, &UserRow { password, version: version(), ..row }).await?;
    end_all(db, user).await?;
    Ok(user)
}

/// Removes a user, their roles, their sign-ins, the tokens that they made, the invitations that they sent, their mail, and
/// the segments that they kept for themselves.
///
/// # Errors
/// When it is the last owner, there is no such user, or ClickHouse cannot be queried.
pub async fn remove_user(db: &Db, email: &str) -> Result<UserId, AccountError> {
    let row = row_of(db, &normalise_email(email)?).await?.ok_or(AccountError::NoUser)?;
    let all = members(db).await?;
    if member::is_last_owner(&all, row.id) {
        return Err(AccountError::LastOwner);
    }
    for member in all.iter().filter(|m| m.user == row.id) {
        revoke(db, member.user, member.site).await?;
    }
    let (id, created) = (row.id, row.created);
    let [email, name, password, totp] = [(); 4].map(|()| String::new());
    write(db, &UserRow { id, email, name, password, totp, created, version: version(), deleted: 1 }).await?;
    end_all(db, id).await?;
    token::remove_unowned(db, id, &[]).await?;
    invitation::withdraw_of(db, id).await?;
    subscription::remove_user(db, id).await?;
    segment::remove_of_user(db, id).await?;
    Ok(id)
}

/// What the right password proves.
#[derive(Debug)]
pub enum Proof {
    /// The user; no second step is needed.
    Whole(User),
    /// The first of two steps; see [`two_step::confirm`].
    First(two_step::Pending),
}

/// Checks address and password, and returns what they prove. Takes equally long whether or not the address
/// exists.
///
/// # Errors
/// When ClickHouse cannot be queried.
pub async fn authenticate(
    db: &Db,
    hasher: &Hasher,
    email: &str,
    password: &str,
) -> Result<Option<Proof>, AccountError> {
    let row = match normalise_email(email) {
        Ok(email) => row_of(db, &email).await?,
        Err(_) => None,
    };
    let matches = hasher.matches(password, row.as_ref().map(|r| r.password.as_str())).await?;
    Ok(row.as_ref().filter(|_| matches).map(two_step::proof))
}

/// Whether this installation has an owner; until then the set-up link is valid.
///
/// # Errors
/// When ClickHouse cannot be queried.
pub async fn owner_exists(db: &Db) -> Result<bool, AccountError> {
    Ok(members(db).await?.iter().any(|m| m.site.is_none() && m.role == Role::Owner))
}

async fn write(db: &Db, row: &UserRow) -> Result<(), Error> {
    let mut insert = db.client().insert::<UserRow>("users").await?;
    insert.write(row).await?;
    insert.end().await
}

/// A random secret of 32 bytes in hexadecimal, and the hash under which it is stored.
///
/// # Errors
/// When the operating system has no randomness.
pub fn random_secret() -> Result<(String, [u8; 32]), getrandom::Error> {
    let mut bytes = [0u8; 32];
    getrandom::fill(&mut bytes)?;
    let secret = const_hex::encode(bytes);
    let hash = secret_hash(&secret);
    Ok((secret, hash))
}

/// The hash under which a secret is stored.
pub fn secret_hash(secret: &str) -> [u8; 32] {
    *blake3::hash(secret.as_bytes()).as_bytes()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn email_is_compared_in_one_form() {
        for (typed, expected) in [
            (" Ann@Example.ORG ", Some("ann@example.org")),
            ("ann+sotto@mail.example.org", Some("ann+sotto@mail.example.org")),
            ("ann", None),
            ("@example.org", None),
            ("ann@", None),
            ("ann@localhost", None),
            ("ann@example..org", None),
            ("ann@b@example.org", None),
            ("an n@example.org", None),
            ("", None),
        ] {
            assert_eq!(normalise_email(typed).ok().as_deref(), expected, "{typed:?}");
        }
    }

    #[test]
    fn email_at_the_limit_is_accepted_and_one_beyond_is_not() {
        let host = "@example.org";
        let at = "a".repeat(EMAIL_BYTES_MAX - host.len()) + host;
        assert!(normalise_email(&at).is_ok());
        assert!(normalise_email(&format!("a{at}")).is_err());
    }

    #[test]
    fn secrets_differ_and_hash_to_what_is_stored() {
        let (a, hash) = random_secret().unwrap();
        let (b, _) = random_secret().unwrap();
        assert_ne!(a, b);
        assert_eq!((a.len(), secret_hash(&a)), (64, hash));
    }
}
