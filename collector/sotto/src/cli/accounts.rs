//! `sotto user`, `sotto token`, `sotto goal`

use clap::{Subcommand, ValueEnum};
use sotto_schema::id::{GoalId, SiteId, TokenId, UserId};
use sotto_store::{
    account::{self, Role, Scope},
    audit::{self, Action},
    db::{Databases, Db},
    goal, sites,
};

use super::{
    output::{Listing, time},
    password,
    site::find,
};
use crate::failure::Failure;

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
    Add {
        /// Key, name or host name of the site
        site: String,
        /// What it is called
        name: String,
        /// Reached by viewing a page, like /thank-you or /order/*
        #[arg(long, conflicts_with = "event", required_unless_present = "event")]
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
}

async fn site_id(db: &Db, site: Option<&str>) -> Result<SiteId, Failure> {
    match site {
        Some(site) => Ok(find(db, site).await?.id),
        None => Ok(SiteId::NONE),
    }
}

/// Runs `sotto user`.
pub async fn user(command: UserCommand, databases: &Databases) -> Result<(), Failure> {
    let db = &databases.writer;
    match command {
        UserCommand::Add { email, name, role, site } => {
            let site = site_id(db, site.as_deref()).await?;
            let hasher = account::Hasher::new()?;
            let user = account::add_user(db, &hasher, &email, &name, &password::read()?).await?;
            let role = match role {
                RoleName::Viewer => Role::Viewer,
                RoleName::Editor => Role::Editor,
                RoleName::Owner => Role::Owner,
            };
            account::grant(db, user.id, site, role).await?;
            println!("{} added as {}", user.email, role.name());
        }
        UserCommand::Password { email } => {
            account::set_password(db, &account::Hasher::new()?, &email, &password::read()?).await?;
            println!("{email} has another password");
        }
        UserCommand::TotpReset { email } => {
            let Some(user) = account::two_step::switch_off(db, &email).await? else {
                return Err(Failure::usage(format!("{email} has no two-step sign-in")));
            };
            account::end_all(db, user.id).await?;
            audit::append(db, UserId::NONE, Action::TwoStepReset, SiteId::NONE, &format!("user {}", user.id))
                .await?;
            println!("{} signs in with the password alone from now on", user.email);
        }
        UserCommand::List { json } => list_users(db, json).await?,
        UserCommand::Remove { email } => {
            account::remove_user(db, &email).await?;
            println!("{email} removed");
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
            .map(|m| {
                let on = sites.iter().find(|s| s.id == m.site).map_or("all sites", |s| s.name.as_str());
                format!("{} on {on}", m.role.name())
            })
            .collect();
        listing.row(vec![user.email.into(), user.name.into(), roles.into(), time(user.created_ms)]);
    }
    listing.print(json);
    Ok(())
}

/// Runs `sotto token`.
pub async fn token(command: TokenCommand, databases: &Databases) -> Result<(), Failure> {
    let db = &databases.writer;
    match command {
        TokenCommand::Add { name, site, scope, json } => {
            let site = site_id(db, site.as_deref()).await?;
            let scope = match scope {
                ScopeName::Read => Scope::Read,
                ScopeName::Write => Scope::Write,
            };
            let issued = account::issue(db, &name, site, scope).await?;
            let mut listing = Listing::new(&["id", "name", "scope", "token"]);
            let token = issued.token;
            listing.row(vec![
                token.id.to_string().into(),
                token.name.into(),
                token.scope.name().into(),
                issued.secret.into(),
            ]);
            listing.print(json);
        }
        TokenCommand::List { json } => {
            let sites = sites::all(db).await?;
            let mut listing = Listing::new(&["id", "name", "site", "scope", "created"]);
            for token in account::tokens(db).await? {
                let on = sites.iter().find(|s| s.id == token.site).map_or("all sites", |s| s.name.as_str());
                listing.row(vec![
                    token.id.to_string().into(),
                    token.name.into(),
                    on.into(),
                    token.scope.name().into(),
                    time(token.created_ms),
                ]);
            }
            listing.print(json);
        }
        TokenCommand::Remove { id } => {
            if !account::remove_token(db, TokenId(id)).await? {
                return Err(Failure::usage(format!(
                    "no token has the number {id}; `sotto token list` shows them"
                )));
            }
            println!("token {id} removed");
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
            let goal = goal::add(db, site.id, &name, kind, &pattern).await?;
            println!("goal {} added to {}", goal.name, site.name);
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
            listing.print(json);
        }
        GoalCommand::Remove { site, id } => {
            let site = find(db, &site).await?;
            if !goal::remove(db, site.id, GoalId(id)).await? {
                return Err(Failure::usage(format!(
                    "no goal has the number {id}; `sotto goal list` shows them"
                )));
            }
            println!("goal {id} removed");
        }
    }
    Ok(())
}
