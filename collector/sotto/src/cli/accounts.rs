//! `sotto user`, `sotto token`, `sotto goal`

use clap::{Subcommand, ValueEnum};
use sotto_schema::{
    id::{GoalId, SiteId, TokenId, UserId},
    site::Site,
};
use sotto_store::{
    account::{self, AccountError, NewToken, Role, Scope},
    audit::{self, Action},
    db::{Databases, Db},
    goal::{self, GoalError},
    sites,
};

use super::{
    output::{Listing, say, time},
    password,
    site::find,
};
use crate::failure::{Exit, Failure};

/// What to do with users.
#[derive(Debug, Subcommand)]
pub enum UserCommand {
    /// Add a user; the password is read from standard input
    Add {
        /// E-mail address
        email: String,
        /// Name of the person
        #[arg(long, default_value = "")]
        name: String,
        /// What they may do
        #[arg(long, value_enum, default_value_t)]
        role: RoleName,
        /// Only on this site (key, name or host name); default: all sites
        #[arg(long)]
        site: Option<String>,
    },
    /// Change a user's password (read from standard input) and end their sign-ins
    Password {
        /// E-mail address
        email: String,
    },
    /// Switch off two-step sign-in for somebody who lost their phone and recovery codes, and end their sign-ins
    TotpReset {
        /// E-mail address
        email: String,
    },
    /// List users and their roles
    List {
        /// Print JSON
        #[arg(long)]
        json: bool,
    },
    /// Remove a user
    Remove {
        /// E-mail address
        email: String,
    },
}

/// What to do with tokens.
#[derive(Debug, Subcommand)]
pub enum TokenCommand {
    /// Create a token and print it; it is shown only once
    Add {
        /// What it is for
        name: String,
        /// Only for this site (key, name or host name); default: all sites
        #[arg(long)]
        site: Option<String>,
        /// What it may do
        #[arg(long, value_enum, default_value_t)]
        scope: ScopeName,
        /// For how many days it is valid; default: until it is removed
        #[arg(long)]
        days: Option<u32>,
        /// Print JSON
        #[arg(long)]
        json: bool,
    },
    /// List all tokens, without their secrets
    List {
        /// Print JSON
        #[arg(long)]
        json: bool,
    },
    /// Remove a token
    Remove {
        /// Its number in the list
        id: u64,
    },
}

/// What to do with goals.
#[derive(Debug, Subcommand)]
pub enum GoalCommand {
    /// Add a goal
    #[command(group(clap::ArgGroup::new("reached").required(true).args(["page", "event"])))]
    Add {
        /// Key, name or host name of the site
        site: String,
        /// What it is called
        name: String,
        /// Reached by viewing a page, like /thank-you or /order/*
        #[arg(long)]
        page: Option<String>,
        /// Reached by a custom event of this name
        #[arg(long)]
        event: Option<String>,
    },
    /// List the goals of a site
    List {
        /// Key, name or host name of the site
        site: String,
        /// Print JSON
        #[arg(long)]
        json: bool,
    },
    /// Remove a goal
    Remove {
        /// Key, name or host name of the site
        site: String,
        /// Its number in the list
        id: u64,
    },
}

/// A role by name.
#[derive(Debug, Clone, Copy, Default, ValueEnum)]
pub enum RoleName {
    /// May read reports
    #[default]
    Viewer,
    /// May also change goals and settings of the site
    Editor,
    /// May do everything
    Owner,
}

/// A scope by name.
#[derive(Debug, Clone, Copy, Default, ValueEnum)]
pub enum ScopeName {
    /// May read reports
    #[default]
    Read,
    /// May also send events on behalf of visitors
    Write,
    /// May also change sites, goals and shared links
    Manage,
}

/// Writes into the audit log what was done on the command line. People are numbers there: what it says stays.
async fn note(db: &Db, action: Action, site: SiteId, detail: &str) -> Result<(), Failure> {
    Ok(audit::append(db, UserId::NONE, action, site, detail).await?)
}

async fn site_id(db: &Db, site: Option<&str>) -> Result<SiteId, Failure> {
    match site {
        Some(site) => Ok(find(db, site).await?.id),
        None => Ok(SiteId::NONE),
    }
}

/// What a role or a token is for: what was for a removed site is for nothing any more.
fn whereabouts(sites: &[Site], site: SiteId) -> &str {
    match sites.iter().find(|s| s.id == site) {
        Some(site) => &site.name,
        None if site.is_some() => "(removed)",
        None => "all sites",
    }
}

fn of_account(error: AccountError) -> Failure {
    let exit = match error {
        AccountError::Email
        | AccountError::Password
        | AccountError::TokenName
        | AccountError::TokenDays
        | AccountError::UserName => Exit::Usage,
        AccountError::NoUser => Exit::Missing,
        AccountError::EmailTaken
        | AccountError::TooMany(_)
        | AccountError::LastOwner
        | AccountError::Randomness(_)
        | AccountError::Hashing
        | AccountError::Database(_) => Exit::Failed,
    };
    Failure::new(error).ending(exit)
}

fn of_goal(error: GoalError) -> Failure {
    let exit = match error {
        GoalError::Name | GoalError::Path | GoalError::Event => Exit::Usage,
        GoalError::TooMany | GoalError::Randomness(_) | GoalError::Database(_) => Exit::Failed,
    };
    Failure::new(error).ending(exit)
}

/// Runs `sotto user`.
pub async fn user(command: UserCommand, databases: &Databases) -> Result<(), Failure> {
    let db = &databases.writer;
    match command {
        UserCommand::Add { email, name, role, site } => {
            let site = site_id(db, site.as_deref()).await?;
            let hasher = account::Hasher::new()?;
            let user = account::add_user(db, &hasher, &email, &name, &password::read()?)
                .await
                .map_err(of_account)?;
            let role = match role {
                RoleName::Viewer => Role::Viewer,
                RoleName::Editor => Role::Editor,
                RoleName::Owner => Role::Owner,
            };
            account::grant(db, user.id, site, role).await?;
            note(db, Action::UserAdd, site, &format!("user {} as {}", user.id, role.name())).await?;
            say!("{} added as {}", user.email, role.name())?;
        }
        UserCommand::Password { email } => {
            let user = account::set_password(db, &account::Hasher::new()?, &email, &password::read()?)
                .await
                .map_err(of_account)?;
            note(db, Action::PasswordChange, SiteId::NONE, &format!("user {user}")).await?;
            say!("{email} has another password")?;
        }
        UserCommand::TotpReset { email } => {
            let Some(user) = account::two_step::switch_off(db, &email).await? else {
                return Err(Failure::missing(format!("{email} has no two-step sign-in")));
            };
            account::end_all(db, user.id).await?;
            note(db, Action::TwoStepReset, SiteId::NONE, &format!("user {}", user.id)).await?;
            say!("{} signs in with the password alone from now on", user.email)?;
        }
        UserCommand::List { json } => list_users(db, json).await?,
        UserCommand::Remove { email } => {
            let user = account::remove_user(db, &email).await.map_err(of_account)?;
            note(db, Action::UserRemove, SiteId::NONE, &format!("user {user}")).await?;
            say!("{email} removed")?;
        }
    }
    Ok(())
}

async fn list_users(db: &Db, json: bool) -> Result<(), Failure> {
    let (users, members, sites) =
        (account::users(db).await?, account::members(db).await?, sites::all(db).await?);
    let mut listing = Listing::new(&["email", "name", "roles", "created"]);
    for user in users {
        let roles: Vec<String> = members
            .iter()
            .filter(|m| m.user == user.id)
            .map(|m| format!("{} on {}", m.role.name(), whereabouts(&sites, m.site)))
            .collect();
        listing.row(vec![user.email.into(), user.name.into(), roles.into(), time(user.created_ms)]);
    }
    listing.print(json)?;
    Ok(())
}

/// Runs `sotto token`.
pub async fn token(command: TokenCommand, databases: &Databases) -> Result<(), Failure> {
    let db = &databases.writer;
    match command {
        TokenCommand::Add { name, site, scope, days, json } => {
            let site = site_id(db, site.as_deref()).await?;
            let scope = match scope {
                ScopeName::Read => Scope::Read,
                ScopeName::Write => Scope::Write,
                ScopeName::Manage => Scope::Manage,
            };
            let asked = NewToken { name: &name, site, scope, days };
            let issued = account::issue(db, UserId::NONE, asked).await.map_err(of_account)?;
            let mut listing = Listing::new(&["id", "name", "scope", "token"]);
            let token = issued.token;
            let detail = format!("token {}, {}: {}", token.id, token.scope.name(), token.name);
            note(db, Action::TokenAdd, site, &detail).await?;
            listing.row(vec![
                token.id.to_string().into(),
                token.name.into(),
                token.scope.name().into(),
                issued.secret.into(),
            ]);
            listing.print(json)?;
        }
        TokenCommand::List { json } => {
            let sites = sites::all(db).await?;
            let mut listing = Listing::new(&["id", "name", "site", "scope", "created", "expires", "used"]);
            for token in account::tokens(db).await? {
                let on = whereabouts(&sites, token.site);
                listing.row(vec![
                    token.id.to_string().into(),
                    token.name.into(),
                    on.into(),
                    token.scope.name().into(),
                    time(token.created_ms),
                    token.expires_ms.map_or_else(|| "never".into(), time),
                    token.used.map_or_else(|| "never".into(), |day| day.date().to_string().into()),
                ]);
            }
            listing.print(json)?;
        }
        TokenCommand::Remove { id } => {
            if !account::remove_token(db, TokenId(id)).await? {
                return Err(Failure::missing(format!(
                    "no token has the number {id}; `sotto token list` shows them"
                )));
            }
            note(db, Action::TokenRemove, SiteId::NONE, &format!("token {id}")).await?;
            say!("token {id} removed")?;
        }
    }
    Ok(())
}

/// Runs `sotto goal`.
pub async fn goal(command: GoalCommand, databases: &Databases) -> Result<(), Failure> {
    let db = &databases.writer;
    match command {
        GoalCommand::Add { site, name, page, event } => {
            let site = find(db, &site).await?;
            let (kind, pattern) = match (page, event) {
                (Some(page), _) => (goal::Kind::Page, page),
                (None, Some(event)) => (goal::Kind::Event, event),
                (None, None) => return Err(Failure::usage("a goal needs --page or --event")),
            };
            let goal = goal::add(db, site.id, &name, kind, &pattern).await.map_err(of_goal)?;
            note(db, Action::GoalAdd, site.id, &format!("goal {}: {}", goal.id, goal.name)).await?;
            say!("goal {} added to {}", goal.name, site.name)?;
        }
        GoalCommand::List { site, json } => {
            let site = find(db, &site).await?;
            let mut listing = Listing::new(&["id", "name", "kind", "pattern", "created"]);
            for goal in goal::all(db, site.id).await? {
                listing.row(vec![
                    goal.id.to_string().into(),
                    goal.name.into(),
                    goal.kind.name().into(),
                    goal.pattern.into(),
                    time(goal.created_ms),
                ]);
            }
            listing.print(json)?;
        }
        GoalCommand::Remove { site, id } => {
            let site = find(db, &site).await?;
            if !goal::remove(db, site.id, GoalId(id)).await? {
                return Err(Failure::missing(format!(
                    "no goal has the number {id}; `sotto goal list` shows them"
                )));
            }
            note(db, Action::GoalRemove, site.id, &format!("goal {id}")).await?;
            say!("goal {id} removed")?;
        }
    }
    Ok(())
}
