//! `sotto funnel`

use clap::{Subcommand, ValueEnum};
use sotto_schema::id::{FunnelId, UserId};
use sotto_store::{
    audit::{self, Action},
    db::Databases,
    funnel::{self, FunnelError, Step},
    goal::Kind,
};

use super::{
    output::{Listing, say, time},
    site::find,
};
use crate::failure::{Exit, Failure};

/// What stands before the name of an event.
const EVENT: &str = "event:";

/// What to do with funnels.
#[derive(Debug, Subcommand)]
pub enum FunnelCommand {
    /// Add a funnel
    Add {
        /// Key, name or host name of the site
        site: String,
        /// What it is called
        name: String,
        /// A step: a path like /rooms/*, or event:NAME; two to eight, in their order
        #[arg(long = "step", required = true, value_parser = parse_step)]
        steps: Vec<Step>,
        /// What may happen between two steps
        #[arg(long, value_enum, default_value_t)]
        order: Order,
    },
    /// List the funnels of a site
    List {
        /// Key, name or host name of the site
        site: String,
        /// Print JSON
        #[arg(long)]
        json: bool,
    },
    /// Remove a funnel
    Remove {
        /// Key, name or host name of the site
        site: String,
        /// Its number in the list
        id: u64,
    },
}

/// What may happen between two steps.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, ValueEnum)]
pub enum Order {
    /// Anything
    #[default]
    Loose,
    /// No other page is seen
    Strict,
}

fn parse_step(text: &str) -> Result<Step, String> {
    match text.strip_prefix(EVENT) {
        Some(name) => Ok(Step { kind: Kind::Event, pattern: name.to_owned() }),
        None if text.starts_with('/') => Ok(Step { kind: Kind::Page, pattern: text.to_owned() }),
        None => Err("a step is a path like /rooms/*, or event:NAME".to_owned()),
    }
}

fn written(step: &Step) -> String {
    match step.kind {
        Kind::Page => step.pattern.clone(),
        Kind::Event => format!("{EVENT}{}", step.pattern),
    }
}

fn of_funnel(error: FunnelError) -> Failure {
    let exit = match error {
        FunnelError::Name | FunnelError::Steps(_) | FunnelError::Step(_) => Exit::Usage,
        FunnelError::TooMany | FunnelError::Randomness(_) | FunnelError::Database(_) => Exit::Failed,
    };
    Failure::new(error).ending(exit)
}

/// Runs `sotto funnel`.
pub async fn run(command: FunnelCommand, databases: &Databases) -> Result<(), Failure> {
    let db = &databases.writer;
    match command {
        FunnelCommand::Add { site, name, steps, order } => {
            let site = find(db, &site).await?;
            let added = funnel::add(db, site.id, &name, order == Order::Strict, &steps).await;
            let funnel = added.map_err(of_funnel)?;
            let what = format!("funnel {}: {}", funnel.id, funnel.name);
            audit::append(db, UserId::NONE, Action::FunnelAdd, site.id, &what).await?;
            say!("funnel {} added to {}", funnel.name, site.name)?;
        }
        FunnelCommand::List { site, json } => {
            let site = find(db, &site).await?;
            let mut listing = Listing::new(&["id", "name", "order", "steps", "created"]);
            for funnel in funnel::all(db, site.id).await.map_err(of_funnel)? {
                listing.row(vec![
                    funnel.id.to_string().into(),
                    funnel.name.into(),
                    if funnel.strict { "strict" } else { "loose" }.into(),
                    funnel.steps.iter().map(written).collect::<Vec<_>>().into(),
                    time(funnel.created_ms),
                ]);
            }
            listing.print(json)?;
        }
        FunnelCommand::Remove { site, id } => {
            let site = find(db, &site).await?;
            if !funnel::remove(db, site.id, FunnelId(id)).await.map_err(of_funnel)? {
                return Err(Failure::missing(format!(
                    "no funnel has the number {id}; `sotto funnel list` shows them"
                )));
            }
            audit::append(db, UserId::NONE, Action::FunnelRemove, site.id, &format!("funnel {id}")).await?;
            say!("funnel {id} removed")?;
        }
    }
    Ok(())
}
