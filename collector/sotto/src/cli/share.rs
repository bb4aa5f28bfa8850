//! `sotto share`: links by which people without an account read the reports of a site.

use clap::Subcommand;
use sotto_collector::config::Config;
use sotto_schema::id::UserId;
use sotto_store::{
    account::Hasher,
    audit::{self, Action},
    db::Databases,
    sharing::{self, NewLink, SharedLink, SharingError},
};

use super::{
    output::{Listing, say, time},
    password,
    site::find,
};
use crate::failure::{Exit, Failure};

/// What to do with shared links.
#[derive(Debug, Subcommand)]
pub enum ShareCommand {
    /// Make a link and print it; it is shown only once
    Add {
        /// Key, name or host name of the site
        site: String,
        /// What it is for; its readers do not see it
        name: String,
        /// After how many days it expires; default: never
        #[arg(long)]
        days: Option<u32>,
        /// Show only what matches, like country=DE; repeat for several
        #[arg(long)]
        filter: Vec<String>,
        /// Show goals, too
        #[arg(long)]
        goals: bool,
        /// Show the report on consent, too
        #[arg(long)]
        consent: bool,
        /// A host whose pages may embed it; repeat for several
        #[arg(long)]
        host: Vec<String>,
        /// Ask for a password, which is read from standard input
        #[arg(long)]
        password: bool,
        /// Print JSON
        #[arg(long)]
        json: bool,
    },
    /// List the links of a site, without their secrets
    List {
        /// Key, name or host name of the site
        site: String,
        /// Print JSON
        #[arg(long)]
        json: bool,
    },
    /// Withdraw a link; it shows nothing from then on
    Remove {
        /// Key, name or host name of the site
        site: String,
        /// Its number in the list
        id: String,
    },
}

fn of_sharing(error: SharingError) -> Failure {
    let usage = error.is_refusal() && !matches!(error, SharingError::TooMany);
    let exit = if usage { Exit::Usage } else { Exit::Failed };
    Failure::new(error).ending(exit)
}

/// Reads filters as they are typed, into those of addresses. The dashboard knows how, and only the program's main part
/// names it.
pub type ReadFilters = fn(&[String]) -> Result<Vec<String>, Failure>;

fn row(listing: &mut Listing, link: SharedLink) {
    listing.row(vec![
        link.number().into(),
        link.name.into(),
        link.password.is_some().into(),
        link.filters.into(),
        link.hosts.into(),
        time(link.created_ms),
        link.expires_ms.map_or_else(|| "".into(), time),
        link.used.map_or_else(String::new, |day| day.to_string()).into(),
    ]);
}

/// Runs `sotto share`.
pub async fn run(
    command: ShareCommand,
    databases: &Databases,
    config: &Config,
    filters: ReadFilters,
) -> Result<(), Failure> {
    let db = &databases.writer;
    match command {
        ShareCommand::Add { site, name, days, filter, goals, consent, host, password, json } => {
            let site = find(db, &site).await?;
            let password = if password { password::read()? } else { String::new() };
            let new =
                NewLink { name, password, days, filters: filters(&filter)?, goals, consent, hosts: host };
            let (link, secret) =
                sharing::make(db, &Hasher::new()?, site.id, &new).await.map_err(of_sharing)?;
            let detail = format!("link {}", link.number());
            audit::append(db, UserId::NONE, Action::LinkAdd, site.id, &detail).await?;
            let mut listing = Listing::new(&["id", "name", "link"]);
            let url = format!("{}/shared/{secret}", config.public_url());
            listing.row(vec![link.number().into(), link.name.into(), url.into()]);
            listing.print(json)?;
        }
        ShareCommand::List { site, json } => {
            let site = find(db, &site).await?;
            let columns = ["id", "name", "password", "filters", "hosts", "created", "expires", "used"];
            let mut listing = Listing::new(&columns);
            for link in sharing::links(db, site.id).await.map_err(of_sharing)? {
                row(&mut listing, link);
            }
            listing.print(json)?;
        }
        ShareCommand::Remove { site, id } => {
            let site = find(db, &site).await?;
            let links = sharing::links(db, site.id).await.map_err(of_sharing)?;
            let Some(link) = links.iter().find(|link| link.number() == id) else {
                return Err(Failure::missing(format!(
                    "no link of this site has the number {id:?}; `sotto share list` shows them"
                )));
            };
            sharing::withdraw(db, site.id, link.id).await.map_err(of_sharing)?;
            audit::append(db, UserId::NONE, Action::LinkWithdraw, site.id, &format!("link {id}")).await?;
            say!("link {id} withdrawn")?;
        }
    }
    Ok(())
}
