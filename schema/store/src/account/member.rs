//! Roles: who may do what on which site.

use clickhouse::{Row, error::Error};
use serde::{Deserialize, Serialize};
use serde_repr::{Deserialize_repr, Serialize_repr};
use sotto_schema::{
    clock::{now_ms, version},
    id::{SiteId, UserId},
};

use super::{AccountError, secret_hash};
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

/// All roles of the user who is signed in with a cookie value; none if it has expired.
///
/// # Errors
/// When ClickHouse cannot be queried.
pub async fn roles_of_sign_in(db: &Db, secret: &str) -> Result<Vec<Member>, AccountError> {
    let query = db.query(include_str!("roles_of_sign_in.sql"));
    let query = query.param("id", const_hex::encode(secret_hash(secret))).param("now", now_ms());
    Ok(query.fetch_all::<MemberRow>().await?.into_iter().map(Member::from).collect())
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
}
