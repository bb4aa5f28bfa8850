//! The audit log. Entries are only ever added. They never hold a secret or anything about a visitor.

use clickhouse::{Row, error::Error};
use serde::{Deserialize, Serialize};
use sotto_schema::{
    clock::now_ms,
    id::{SiteId, UserId},
};

use crate::db::Db;

/// Maximum length of a detail in characters; longer ones are truncated.
pub const DETAIL_CHARS_MAX: usize = 500;

/// An audited action. The names are stored, so renaming one breaks the log.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Action {
    /// The set-up link was used.
    SetUp,
    /// Somebody signed in.
    SignIn,
    /// Somebody signed out.
    SignOut,
    /// A site was added.
    SiteAdd,
    /// A site's settings were changed.
    SiteChange,
    /// A site was removed.
    SiteRemove,
    /// A user was added.
    UserAdd,
    /// A user was removed.
    UserRemove,
    /// A password was changed.
    PasswordChange,
    /// Two-step sign-in was switched on.
    TwoStepOn,
    /// A user switched off their own two-step sign-in.
    TwoStepOff,
    /// Two-step sign-in was switched off for somebody on the command line.
    TwoStepReset,
    /// A role was given or taken.
    RoleChange,
    /// Somebody was invited.
    InvitationAdd,
    /// An invitation was taken back.
    InvitationWithdraw,
    /// An invitation was used.
    InvitationAccept,
    /// A link to a site's reports was made.
    LinkAdd,
    /// A link to a site's reports was taken back.
    LinkWithdraw,
    /// Anybody may read a site's reports from now on.
    PublicOn,
    /// Nobody may do so any more without an account or a link.
    PublicOff,
    /// Somebody gets mail about a site from now on.
    MailAdd,
    /// Somebody gets no such mail any more.
    MailRemove,
    /// A webhook was added.
    HookAdd,
    /// A webhook was removed.
    HookRemove,
    /// A token was made.
    TokenAdd,
    /// A token was removed.
    TokenRemove,
    /// A goal was added.
    GoalAdd,
    /// A goal was removed.
    GoalRemove,
    /// A funnel was added.
    FunnelAdd,
    /// A funnel was removed.
    FunnelRemove,
    /// Filters were kept for everybody who reads a site.
    SegmentAdd,
    /// They were given another name.
    SegmentRename,
    /// They were removed.
    SegmentRemove,
    /// An annotation was written.
    AnnotationAdd,
    /// An annotation was removed.
    AnnotationRemove,
    /// Events were erased on request.
    Erase,
    /// Events were imported from a file.
    Import,
    /// Data due under the retention rules was removed.
    Retention,
    /// A visitor erased what was held under their own key or id.
    VisitorErase,
    /// A backup was made.
    Backup,
}

impl Action {
    /// The name as stored.
    pub const fn name(self) -> &'static str {
        match self {
            Self::SetUp => "set_up",
            Self::SignIn => "sign_in",
            Self::SignOut => "sign_out",
            Self::SiteAdd => "site_add",
            Self::SiteChange => "site_change",
            Self::SiteRemove => "site_remove",
            Self::UserAdd => "user_add",
            Self::UserRemove => "user_remove",
            Self::PasswordChange => "password_change",
            Self::TwoStepOn => "two_step_on",
            Self::TwoStepOff => "two_step_off",
            Self::TwoStepReset => "two_step_reset",
            Self::RoleChange => "role_change",
            Self::InvitationAdd => "invitation_add",
            Self::InvitationWithdraw => "invitation_withdraw",
            Self::InvitationAccept => "invitation_accept",
            Self::LinkAdd => "link_add",
            Self::LinkWithdraw => "link_withdraw",
            Self::PublicOn => "public_on",
            Self::PublicOff => "public_off",
            Self::MailAdd => "mail_add",
            Self::MailRemove => "mail_remove",
            Self::HookAdd => "hook_add",
            Self::HookRemove => "hook_remove",
            Self::TokenAdd => "token_add",
            Self::TokenRemove => "token_remove",
            Self::GoalAdd => "goal_add",
            Self::GoalRemove => "goal_remove",
            Self::FunnelAdd => "funnel_add",
            Self::FunnelRemove => "funnel_remove",
            Self::SegmentAdd => "segment_add",
            Self::SegmentRename => "segment_rename",
            Self::SegmentRemove => "segment_remove",
            Self::AnnotationAdd => "annotation_add",
            Self::AnnotationRemove => "annotation_remove",
            Self::Erase => "erase",
            Self::Import => "import",
            Self::Retention => "retention",
            Self::VisitorErase => "visitor_erase",
            Self::Backup => "backup",
        }
    }
}

/// One line of the log.
#[derive(Debug, Clone, PartialEq, Eq, Row, Serialize, Deserialize)]
pub struct Entry {
    /// When, in milliseconds since 1970-01-01 UTC.
    pub time: i64,
    /// Which user; 0 stands for the command line.
    pub actor: UserId,
    /// [`Action::name`].
    pub action: String,
    /// Which site; 0 stands for none.
    pub site: SiteId,
    /// What exactly, for people.
    pub detail: String,
}

/// Adds a line. `actor` 0 stands for the command line, `site` 0 for none.
///
/// # Errors
/// When ClickHouse cannot be queried.
pub async fn append(db: &Db, actor: UserId, action: Action, site: SiteId, detail: &str) -> Result<(), Error> {
    let detail = detail.chars().take(DETAIL_CHARS_MAX).collect();
    let entry = Entry { time: now_ms(), actor, action: action.name().to_owned(), site, detail };
    let mut insert = db.client().insert::<Entry>("audit_log").await?;
    insert.write(&entry).await?;
    insert.end().await
}

/// The newest lines of one kind.
///
/// # Errors
/// When ClickHouse cannot be queried.
pub async fn newest_of(db: &Db, action: Action, limit: u64) -> Result<Vec<Entry>, Error> {
    let query = db.query(include_str!("audit/of_action.sql"));
    query.param("action", action.name()).param("limit", limit).fetch_all().await
}

/// The newest lines, of one site or (0) of all.
///
/// # Errors
/// When ClickHouse cannot be queried.
pub async fn newest(db: &Db, site: SiteId, limit: u64) -> Result<Vec<Entry>, Error> {
    let query = db.query(include_str!("audit/newest.sql"));
    query.param("site", site).param("limit", limit).fetch_all().await
}
