//! Invitations: a link that lets one person make an account, with roles that somebody else may give.
//!
//! Promises: only a hash of the link's secret is stored; a link works once, for [`INVITATION_DAYS`] days, and only while
//! who sent it may still give what it gives; it never changes an account that exists. The address of who was invited goes
//! with the invitation.
//!
//! **Crash.** An invitation is marked as used before the account is made: a crash in between costs the invitation.
//! Whether it is used twice at the same instant, the caller prevents, within one process.

use clickhouse::{Row, error::Error};
use serde::{Deserialize, Serialize};
use sotto_schema::{
    clock::{now_ms, version},
    id::{SiteId, UserId},
};

use super::{
    AccountError, Hasher, Member, Role, User, grant, members, new_user, normalise_email, random_secret,
    role_of, secret_hash, write as write_user,
};
use crate::db::Db;

/// How many days an invitation is valid.
pub const INVITATION_DAYS: i64 = 7;
/// How many open invitations there may be.
pub const INVITATIONS_MAX: usize = 1_000;
const DAY_MS: i64 = 86_400_000;

/// An open invitation.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Invitation {
    /// The hash of the link's secret.
    pub id: [u8; 32],
    /// E-mail address of who is invited, in lower case.
    pub email: String,
    /// The sites; a 0 stands for all sites.
    pub sites: Vec<SiteId>,
    /// What they may do there.
    pub role: Role,
    /// Who invited them.
    pub inviter: UserId,
    /// When it expires, in milliseconds since 1970-01-01 UTC.
    pub expires_ms: i64,
}

#[derive(Row, Serialize, Deserialize)]
struct InvitationRow {
    id: [u8; 32],
    email: String,
    sites: Vec<SiteId>,
    role: Role,
    inviter: UserId,
    created: i64,
    expires: i64,
    version: u64,
    deleted: u8,
}

impl From<InvitationRow> for Invitation {
    fn from(row: InvitationRow) -> Self {
        let InvitationRow { id, email, sites, role, inviter, expires, .. } = row;
        Self { id, email, sites, role, inviter, expires_ms: expires }
    }
}

/// Whether somebody may give roles on these sites: they own each.
pub fn may_invite(roles: &[Member], sites: &[SiteId]) -> bool {
    !sites.is_empty() && sites.iter().all(|site| role_of(roles, *site) == Some(Role::Owner))
}

/// Invites somebody; whether `inviter` may is for the caller to check ([`may_invite`]). Returns the invitation and the
/// link's secret, which is not stored. Earlier invitations of the same inviter to the same address are withdrawn.
///
/// # Errors
/// When the address is none or has an account, there are too many, or ClickHouse cannot be queried.
pub async fn invite(
    db: &Db,
    inviter: UserId,
    email: &str,
    sites: &[SiteId],
    role: Role,
) -> Result<(Invitation, String), AccountError> {
    let email = normalise_email(email)?;
    if super::user(db, &email).await?.is_some() {
        return Err(AccountError::EmailTaken);
    }
    let open = rows(db).await?;
    if open.len() >= INVITATIONS_MAX {
        return Err(AccountError::TooMany(INVITATIONS_MAX));
    }
    for row in open.into_iter().filter(|row| row.email == email && row.inviter == inviter) {
        mark_removed(db, row).await?;
    }
    let (secret, id) = random_secret()?;
    let now = now_ms();
    let row = InvitationRow {
        id,
        email,
        sites: sites.to_vec(),
        role,
        inviter,
        created: now,
        expires: now + INVITATION_DAYS * DAY_MS,
        version: version(),
        deleted: 0,
    };
    write(db, &row).await?;
    Ok((row.into(), secret))
}

/// Invitations that are neither used nor expired, oldest first.
///
/// # Errors
/// When ClickHouse cannot be queried.
pub async fn invitations(db: &Db) -> Result<Vec<Invitation>, AccountError> {
    Ok(rows(db).await?.into_iter().map(Invitation::from).collect())
}

/// The invitation of a link's secret, if it is open and who sent it may still give what it gives.
///
/// # Errors
/// When ClickHouse cannot be queried.
pub async fn invitation(db: &Db, secret: &str) -> Result<Option<Invitation>, AccountError> {
    Ok(valid(db, secret).await?.map(Invitation::from))
}

/// Takes an invitation back; whether there was one.
///
/// # Errors
/// When ClickHouse cannot be queried.
pub async fn withdraw(db: &Db, id: [u8; 32]) -> Result<bool, AccountError> {
    let Some(row) = rows(db).await?.into_iter().find(|row| row.id == id) else { return Ok(false) };
    mark_removed(db, row).await?;
    Ok(true)
}

/// Takes back what a user who is removed has sent.
pub(super) async fn withdraw_of(db: &Db, inviter: UserId) -> Result<(), Error> {
    for row in rows(db).await?.into_iter().filter(|row| row.inviter == inviter) {
        mark_removed(db, row).await?;
    }
    Ok(())
}

/// Makes the account of who was invited, with the password that they chose. `None`: there is no such invitation.
///
/// # Errors
/// When a value is not allowed or the address has an account meanwhile, both of which leave the invitation as it is, or
/// when ClickHouse cannot be queried.
pub async fn accept(
    db: &Db,
    hasher: &Hasher,
    secret: &str,
    name: &str,
    password: &str,
) -> Result<Option<(User, Invitation)>, AccountError> {
    let Some(row) = valid(db, secret).await? else { return Ok(None) };
    let user = new_user(db, hasher, &row.email, name, password).await?;
    // Hashing took its time: the invitation may have been withdrawn, or its sender removed.
    let Some(row) = valid(db, secret).await? else { return Ok(None) };
    let invitation = mark_removed(db, row).await?;
    write_user(db, &user).await?;
    for site in &invitation.sites {
        grant(db, user.id, *site, invitation.role).await?;
    }
    Ok(Some((User::from(&user), invitation)))
}

async fn valid(db: &Db, secret: &str) -> Result<Option<InvitationRow>, AccountError> {
    let id = secret_hash(secret);
    let Some(row) = rows(db).await?.into_iter().find(|row| row.id == id) else { return Ok(None) };
    let mut roles = members(db).await?;
    roles.retain(|m| m.user == row.inviter);
    Ok(may_invite(&roles, &row.sites).then_some(row))
}

async fn rows(db: &Db) -> Result<Vec<InvitationRow>, Error> {
    db.query(include_str!("invitations.sql")).param("now", now_ms()).fetch_all().await
}

/// Marks an invitation as removed, without the address.
async fn mark_removed(db: &Db, row: InvitationRow) -> Result<Invitation, Error> {
    let InvitationRow { id, sites, role, inviter, created, expires, .. } = &row;
    let (sites, email) = (sites.clone(), String::new());
    let (id, role, inviter, created, expires) = (*id, *role, *inviter, *created, *expires);
    let marked =
        InvitationRow { id, email, sites, role, inviter, created, expires, version: version(), deleted: 1 };
    write(db, &marked).await?;
    Ok(row.into())
}

async fn write(db: &Db, row: &InvitationRow) -> Result<(), Error> {
    let mut insert = db.client().insert::<InvitationRow>("invitations").await?;
    insert.write(row).await?;
    insert.end().await
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nobody_gives_what_they_do_not_have() {
        let own = |site: u64, role| Member { user: UserId(1), site: SiteId(site), role };
        let owner_of_7 = [own(7, Role::Owner), own(8, Role::Editor)];
        assert!(may_invite(&owner_of_7, &[SiteId(7)]));
        for sites in [&[SiteId(8)][..], &[SiteId(7), SiteId(8)], &[SiteId(9)], &[SiteId::NONE], &[]] {
            assert!(!may_invite(&owner_of_7, sites), "{sites:?}");
        }
        assert!(may_invite(&[own(0, Role::Owner)], &[SiteId::NONE, SiteId(9)]));
    }
}
