//! Roles: who may do what on which site.

use clickhouse::{Row, error::Error};
use serde::{Deserialize, Serialize};
use serde_repr::{Deserialize_repr, Serialize_repr};
use sotto_schema::{
    clock::{now_ms, version},
    id::{SiteId, UserId},
};

use super::{AccountError, token};
use crate::db::Db;

/// What a user may do. A higher role includes all lower ones.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize_repr, Deserialize_repr)]
#[repr(i8)]
pub enum Role {
    /// May read reports.
    Viewer = 1,
    /// May also change goals and settings of the site.
    Editor = 2,
    /// May also add sites, people and tokens.
    Owner = 3,
}

impl Role {
    /// All roles, smallest first.
    pub const ALL: [Self; 3] = [Self::Viewer, Self::Editor, Self::Owner];

    /// The name as typed and stored.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Viewer => "viewer",
            Self::Editor => "editor",
            Self::Owner => "owner",
        }
    }

    /// The role of that name.
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|r| r.name() == name)
    }
}

/// One role of one user.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Member {
    /// The user.
    pub user: UserId,
    /// The site; 0 stands for all sites.
    pub site: SiteId,
    /// What they may do there.
    pub role: Role,
}

#[derive(Row, Serialize, Deserialize)]
struct MemberRow {
    user: UserId,
    site: SiteId,
    role: Role,
    version: u64,
    deleted: u8,
}

impl From<MemberRow> for Member {
    fn from(row: MemberRow) -> Self {
        Self { user: row.user, site: row.site, role: row.role }
    }
}

/// All roles of all users.
///
/// # Errors
/// When ClickHouse cannot be queried.
pub async fn members(db: &Db) -> Result<Vec<Member>, AccountError> {
    let rows: Vec<MemberRow> = db.query(include_str!("members.sql")).fetch_all().await?;
    Ok(rows.into_iter().map(Member::from).collect())
}

/// All roles of the user of a sign-in, by its id; none if it has expired.
///
/// # Errors
/// When ClickHouse cannot be queried.
pub async fn roles_of_sign_in(db: &Db, id: [u8; 32]) -> Result<Vec<Member>, AccountError> {
    let query = db.query(include_str!("roles_of_sign_in.sql"));
    let query = query.param("id", const_hex::encode(id)).param("now", now_ms());
    Ok(query.fetch_all::<MemberRow>().await?.into_iter().map(Member::from).collect())
}

/// What somebody with these roles may do on a site (0: on all sites).
pub fn role_of(roles: &[Member], site: SiteId) -> Option<Role> {
    roles.iter().filter(|m| m.site.is_none() || m.site == site).map(|m| m.role).max()
}

/// Whether nobody but `user` owns the installation.
pub(super) fn is_last_owner(members: &[Member], user: UserId) -> bool {
    let mut owners = members.iter().filter(|m| m.site.is_none() && m.role == Role::Owner).peekable();
    owners.peek().is_some() && owners.all(|m| m.user == user)
}

/// Gives a user a role on a site (0: on all sites) in place of the one they had there, or takes it with `None`.
/// Tokens that they made and could not make any more are removed.
///
/// # Errors
/// When it would leave the installation without an owner, or ClickHouse cannot be queried.
pub async fn change_role(
    db: &Db,
    user: UserId,
    site: SiteId,
    role: Option<Role>,
) -> Result<(), AccountError> {
    let mut all = members(db).await?;
    if site.is_none() && role != Some(Role::Owner) && is_last_owner(&all, user) {
        return Err(AccountError::LastOwner);
    }
    match role {
        Some(role) => grant(db, user, site, role).await?,
        None => revoke(db, user, site).await?,
    }
    all.retain(|m| m.user == user && m.site != site);
    all.extend(role.map(|role| Member { user, site, role }));
    Ok(token::remove_unowned(db, user, &all).await?)
}

/// Grants a user a role on a site (0: on all sites), replacing the one they had there.
///
/// # Errors
/// When ClickHouse cannot be queried.
pub async fn grant(db: &Db, user: UserId, site: SiteId, role: Role) -> Result<(), AccountError> {
    Ok(write(db, &MemberRow { user, site, role, version: version(), deleted: 0 }).await?)
}

/// Revokes a user's role on a site (0: the one on all sites).
///
/// # Errors
/// When ClickHouse cannot be queried.
pub async fn revoke(db: &Db, user: UserId, site: SiteId) -> Result<(), AccountError> {
    Ok(write(db, &MemberRow { user, site, role: Role::Viewer, version: version(), deleted: 1 }).await?)
}

async fn write(db: &Db, row: &MemberRow) -> Result<(), Error> {
    let mut insert = db.client().insert::<MemberRow>("members").await?;
    insert.write(row).await?;
    insert.end().await
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn greater_role_may_do_all_that_a_smaller_one_may() {
        assert!(Role::Owner > Role::Editor && Role::Editor > Role::Viewer);
        for role in Role::ALL {
            assert_eq!(Role::from_name(role.name()), Some(role));
        }
        assert_eq!(Role::from_name("admin"), None);
    }

    fn member(user: u64, site: SiteId, role: Role) -> Member {
        Member { user: UserId(user), site, role }
    }

    #[test]
    fn role_on_all_sites_holds_on_each_and_the_greater_one_counts() {
        let roles = [member(1, SiteId::NONE, Role::Viewer), member(1, SiteId(7), Role::Editor)];
        for (site, expected) in [(7, Some(Role::Editor)), (8, Some(Role::Viewer)), (0, Some(Role::Viewer))] {
            assert_eq!(role_of(&roles, SiteId(site)), expected, "{site}");
        }
    }

    #[test]
    fn role_on_one_site_holds_nowhere_else() {
        let roles = [member(1, SiteId(7), Role::Owner)];
        assert_eq!(role_of(&roles, SiteId(8)), None);
        assert_eq!(role_of(&roles, SiteId::NONE), None);
        assert_eq!(role_of(&[], SiteId(7)), None);
    }

    #[test]
    fn owner_of_the_installation_is_the_last_one_beside_owners_of_sites_and_viewers_of_all() {
        let others = [member(2, SiteId(7), Role::Owner), member(3, SiteId::NONE, Role::Viewer)];
        let all = [&[member(1, SiteId::NONE, Role::Owner)], &others[..]].concat();
        assert!(is_last_owner(&all, UserId(1)));
        assert!(!is_last_owner(&all, UserId(2)));
        let two = [&[member(4, SiteId::NONE, Role::Owner)], &all[..]].concat();
        assert!(!is_last_owner(&two, UserId(1)));
        assert!(!is_last_owner(&others, UserId(2)), "there is none");
    }
}
