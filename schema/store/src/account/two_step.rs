//! Two-step sign-in: after the password a code of six digits from an app (RFC 6238 with SHA-1, 30 seconds and one step
//! of tolerance each way), or one of eight recovery codes.
//!
//! Promises: secret and recovery codes are stored only under the account key ([`super::key`]); a code is
//! accepted once, and never after a newer one was accepted, even when two dashboards are asked at the same
//! instant; without the key, users with two-step sign-in cannot sign in, and the second step is never
//! skipped. Codes are compared in constant time.
//!
//! **Crash.** A code is marked as used before it is accepted: a crash in between costs one code.

use clickhouse::{Row, error::Error};
use serde::Serialize;
use sotto_schema::{
    clock::{now_ms, version},
    id::UserId,
};
use totp_rs::{Builder, Totp};
use zeroize::Zeroizing;

use super::{
    AccountError, AccountKey, KeyError, Proof, User, UserRow, end_all, key::Purpose, normalise_email, row_of,
    write,
};
use crate::db::Db;

/// Seconds for which a code is shown (RFC 6238, 5.2).
pub const STEP_SECONDS: u64 = 30;
/// Accepted time steps before and after the current one (RFC 6238, 5.2).
const TOLERANCE_STEPS: u16 = 1;
/// Length of a secret in bytes (RFC 4226, 4: 160 bits).
const SECRET_BYTES: usize = 20;
/// How many recovery codes there are.
pub const RECOVERY_CODES: usize = 8;
/// Random bytes of a recovery code, twice as many characters: 64 bits.
const RECOVERY_BYTES: usize = 8;
const MARK_BYTES: usize = 32;
/// How long after the first step the second is accepted, in milliseconds: ten minutes.
pub const TICKET_MS: i64 = 600_000;
/// Allowed clock difference between two machines with dashboards, in milliseconds.
const CLOCKS_MS: i64 = 60_000;
/// Issuer name shown by authenticator apps.
const ISSUER: &str = "Sotto";

/// Why a second step is not accepted. The messages are shown to people.
#[derive(Debug, thiserror::Error)]
pub enum TwoStepError {
    /// See the message.
    #[error("This code is not right. Type the six digits that your app shows now, or a recovery code.")]
    Code,
    /// See the message.
    #[error("This code was used already. Wait until your app shows the next one.")]
    Used,
    /// The first step was too long ago, or was for another user or password.
    #[error("That took too long. Sign in again.")]
    Ticket,
    /// It is on already, or off.
    #[error("Two-step sign-in was changed in the meantime. Load the page again.")]
    Changed,
    /// The sealed data cannot be read.
    #[error("Two-step sign-in does not work here: {0}. Ask whoever runs this installation.")]
    Key(#[from] KeyError),
    /// The account could not be read or changed.
    #[error(transparent)]
    Account(#[from] AccountError),
}

impl From<Error> for TwoStepError {
    fn from(error: Error) -> Self {
        Self::Account(error.into())
    }
}

/// A user whose password was right and who still has to give a code.
#[derive(Debug)]
pub struct Pending {
    /// Who.
    pub user: User,
    sealed: String,
    /// Fingerprint of password and secret: a ticket becomes invalid when one of them changes.
    fingerprint: [u8; 32],
}

impl Pending {
    fn of(row: &UserRow) -> Self {
        let mut hasher = blake3::Hasher::new();
        hasher.update(row.password.as_bytes()).update(b"\0").update(row.totp.as_bytes());
        Self { user: row.into(), sealed: row.totp.clone(), fingerprint: *hasher.finalize().as_bytes() }
    }
}

/// What the right password proves.
pub(super) fn proof(row: &UserRow) -> Proof {
    if row.totp.is_empty() { Proof::Whole(row.into()) } else { Proof::First(Pending::of(row)) }
}

/// A secret waiting to be confirmed with a code.
pub struct Enrolment {
    /// The secret for the form that confirms it, sealed.
    pub sealed: String,
    /// The secret for manual entry.
    pub base32: String,
    /// The secret as a URL that apps read (Google Authenticator's key URI format).
    pub url: String,
}

/// Who signed in with a second step.
#[derive(Debug, PartialEq, Eq)]
pub struct Confirmed {
    /// Who.
    pub user: User,
    /// Whether it was a recovery code.
    pub recovery: bool,
}

#[derive(Row, Serialize)]
struct UsedRow {
    user: UserId,
    step: u64,
    code: [u8; MARK_BYTES],
    used: i64,
}

fn totp(secret: &[u8], email: &str) -> Result<Totp, KeyError> {
    let secret: [u8; SECRET_BYTES] = secret.try_into().map_err(|_| KeyError::Damaged)?;
    // Apps show this as the account name; a colon from a quoted address would separate issuer and name.
    let name = email.replace(':', "");
    Builder::new()
        .with_secret(secret)
        .with_skew(TOLERANCE_STEPS)
        .with_step_duration(STEP_SECONDS)
        .with_account_name(name)
        .with_issuer(Some(ISSUER))
        .build()
        .map_err(|_| KeyError::Damaged)
}

/// Six digits, as people type them.
fn digits(typed: &str) -> Option<String> {
    let code: String = typed.chars().filter(|c| !c.is_whitespace()).collect();
    (code.len() == 6 && code.bytes().all(|b| b.is_ascii_digit())).then_some(code)
}

/// A recovery code in the form that is hashed: without dashes and spaces, in lower case.
fn recovery(typed: &str) -> Option<String> {
    let plain = |c: &char| !c.is_whitespace() && *c != '-';
    let code: String = typed.chars().take(64).filter(plain).map(|c| c.to_ascii_lowercase()).collect();
    (code.len() == 2 * RECOVERY_BYTES && code.bytes().all(|b| b.is_ascii_hexdigit())).then_some(code)
}

fn new_recovery_codes() -> Result<Vec<String>, AccountError> {
    let mut codes = Vec::with_capacity(RECOVERY_CODES);
    for _ in 0..RECOVERY_CODES {
        let mut bytes = [0u8; RECOVERY_BYTES];
        getrandom::fill(&mut bytes)?;
        let groups = bytes.chunks(2).map(const_hex::encode);
        codes.push(groups.collect::<Vec<String>>().join("-"));
    }
    Ok(codes)
}

/// Whether the user has two-step sign-in.
///
/// # Errors
/// When there is no such user or ClickHouse cannot be queried.
pub async fn is_on(db: &Db, email: &str) -> Result<bool, AccountError> {
    Ok(!row_of(db, email).await?.ok_or(AccountError::NoUser)?.totp.is_empty())
}

/// Makes a secret. Nothing is stored before it is confirmed.
///
/// # Errors
/// When nothing can be sealed.
pub fn enrol(key: Option<&AccountKey>, user: &User) -> Result<Enrolment, TwoStepError> {
    let key = key.ok_or(KeyError::Missing)?;
    let mut secret = Zeroizing::new([0u8; SECRET_BYTES]);
    getrandom::fill(secret.as_mut_slice()).map_err(AccountError::from)?;
    let sealed = key.seal(Purpose::Enrolment, user.id, secret.as_slice())?;
    enrolment(secret.as_slice(), user, sealed)
}

/// The secret that is being confirmed, shown again.
///
/// # Errors
/// When it was not sealed for this user.
pub fn enrol_again(key: Option<&AccountKey>, user: &User, sealed: &str) -> Result<Enrolment, TwoStepError> {
    let secret = key.ok_or(KeyError::Missing)?.open(Purpose::Enrolment, user.id, sealed)?;
    enrolment(&secret, user, sealed.to_owned())
}

fn enrolment(secret: &[u8], user: &User, sealed: String) -> Result<Enrolment, TwoStepError> {
    let totp = totp(secret, &user.email)?;
    let url = totp.to_url().map_err(|_| KeyError::Damaged)?;
    Ok(Enrolment { sealed, base32: totp.secret().to_base32(), url })
}

/// Switches two-step sign-in on and ends all sign-ins of the user. Returns the recovery codes, which are stored only as
/// hashes.
///
/// # Errors
/// When the code is not right or was used, it is on already, or the database cannot be queried.
pub async fn switch_on(
    db: &Db,
    key: Option<&AccountKey>,
    user: &User,
    sealed: &str,
    code: &str,
) -> Result<Vec<String>, TwoStepError> {
    let key = key.ok_or(KeyError::Missing)?;
    let secret = key.open(Purpose::Enrolment, user.id, sealed)?;
    let step = matching_step(&secret, user, code, now_ms())?.ok_or(TwoStepError::Code)?;
    let row = row_of(db, &user.email).await?.filter(|row| row.id == user.id).ok_or(AccountError::NoUser)?;
    if !row.totp.is_empty() {
        return Err(TwoStepError::Changed);
    }
    use_once(db, user.id, Code::Step(step)).await?;
    let codes = new_recovery_codes()?;
    let mut text = Zeroizing::new(secret.to_vec());
    for code in &codes {
        let plain = recovery(code).ok_or(TwoStepError::Code)?;
        text.extend_from_slice(&key.mark(user.id, &plain));
    }
    let totp = key.seal(Purpose::Secret, user.id, &text)?;
    write(db, &UserRow { totp, version: version(), ..row }).await?;
    end_all(db, user.id).await?;
    Ok(codes)
}

/// Switches two-step sign-in off; whether it was on.
///
/// # Errors
/// When there is no such user or ClickHouse cannot be queried.
pub async fn switch_off(db: &Db, email: &str) -> Result<Option<User>, AccountError> {
    let row = row_of(db, &normalise_email(email)?).await?.ok_or(AccountError::NoUser)?;
    if row.totp.is_empty() {
        return Ok(None);
    }
    let user = User::from(&row);
    write(db, &UserRow { totp: String::new(), version: version(), ..row }).await?;
    db.query(include_str!("forget_used_codes.sql")).param("user", user.id).execute().await?;
    Ok(Some(user))
}

/// Seals a proof that the password was right, for the form of the second step.
///
/// # Errors
/// When the user's secret cannot be read with this key: then no code can be checked.
pub fn ticket(key: Option<&AccountKey>, pending: &Pending) -> Result<String, TwoStepError> {
    let key = key.ok_or(KeyError::Missing)?;
    key.open(Purpose::Secret, pending.user.id, &pending.sealed)?;
    Ok(key.seal(Purpose::Ticket, pending.user.id, &ticket_text(pending, now_ms()))?)
}

fn ticket_text(pending: &Pending, issued_ms: i64) -> Vec<u8> {
    [&issued_ms.to_le_bytes()[..], &pending.fingerprint].concat()
}

fn check_ticket(key: &AccountKey, pending: &Pending, ticket: &str, now_ms: i64) -> Result<(), TwoStepError> {
    let text = key.open(Purpose::Ticket, pending.user.id, ticket).map_err(|_| TwoStepError::Ticket)?;
    let (issued, fingerprint) = text.split_first_chunk::<8>().ok_or(TwoStepError::Ticket)?;
    let age = now_ms.saturating_sub(i64::from_le_bytes(*issued));
    let valid = (-CLOCKS_MS..=TICKET_MS).contains(&age) && *fingerprint == pending.fingerprint;
    if valid { Ok(()) } else { Err(TwoStepError::Ticket) }
}

/// The second step of signing in.
///
/// # Errors
/// When ticket or code are not right, the code was used, or the database cannot be queried.
pub async fn confirm(
    db: &Db,
    key: Option<&AccountKey>,
    email: &str,
    ticket: &str,
    code: &str,
) -> Result<Confirmed, TwoStepError> {
    let key = key.ok_or(KeyError::Missing)?;
    let email = normalise_email(email).map_err(|_| TwoStepError::Ticket)?;
    let row = row_of(db, &email).await?.ok_or(TwoStepError::Ticket)?;
    let pending = Pending::of(&row);
    let now = now_ms();
    check_ticket(key, &pending, ticket, now)?;
    let text = key.open(Purpose::Secret, row.id, &pending.sealed)?;
    let (secret, marks) = text.split_at_checked(SECRET_BYTES).ok_or(KeyError::Damaged)?;
    let user = pending.user;
    let code = match matching_step(secret, &user, code, now)? {
        Some(step) => Code::Step(step),
        None => Code::Recovery(matching_mark(key, marks, &user, code).ok_or(TwoStepError::Code)?),
    };
    let recovery = matches!(code, Code::Recovery(_));
    use_once(db, user.id, code).await?;
    Ok(Confirmed { user, recovery })
}

fn matching_step(secret: &[u8], user: &User, code: &str, now_ms: i64) -> Result<Option<u64>, KeyError> {
    let Some(code) = digits(code) else { return Ok(None) };
    let seconds = u64::try_from(now_ms / 1000).unwrap_or_default();
    Ok(totp(secret, &user.email)?.check(&code, seconds))
}

fn matching_mark(key: &AccountKey, marks: &[u8], user: &User, code: &str) -> Option<[u8; MARK_BYTES]> {
    let mark = key.mark(user.id, &recovery(code)?);
    // The crate's hash type compares in constant time.
    let (all, _) = marks.as_chunks::<MARK_BYTES>();
    all.iter().any(|m| blake3::Hash::from(*m) == blake3::Hash::from(mark)).then_some(mark)
}

#[derive(Debug, Clone, Copy)]
enum Code {
    Step(u64),
    Recovery([u8; MARK_BYTES]),
}

/// Marks a code as used; refuses one that already was. Of several concurrent attempts at most one succeeds:
/// each writes its mark first and then checks that it is the only one.
async fn use_once(db: &Db, user: UserId, code: Code) -> Result<(), TwoStepError> {
    if marks(db, user, code).await? > 0 {
        return Err(TwoStepError::Used);
    }
    let (step, mark) = match code {
        Code::Step(step) => (step, [0; MARK_BYTES]),
        Code::Recovery(mark) => (0, mark),
    };
    let mut insert = db.client().insert::<UsedRow>("used_codes").await?;
    insert.write(&UsedRow { user, step, code: mark, used: now_ms() }).await?;
    insert.end().await?;
    if marks(db, user, code).await? == 1 { Ok(()) } else { Err(TwoStepError::Used) }
}

/// How many marks rule a code out: for a time step, those of that step and of later ones.
async fn marks(db: &Db, user: UserId, code: Code) -> Result<u64, Error> {
    let query = match code {
        Code::Step(step) => db.query(include_str!("used_steps.sql")).param("step", step),
        Code::Recovery(mark) => {
            db.query(include_str!("used_recovery.sql")).param("code", const_hex::encode(mark))
        }
    };
    query.param("user", user).fetch_one().await
}

#[cfg(test)]
mod tests;
