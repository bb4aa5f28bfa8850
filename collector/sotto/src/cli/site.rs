//! `sotto site`

use clap::{Subcommand, ValueEnum};
use sotto_collector::{config::Config, state};
use sotto_schema::{
    id::UserId,
    policy::Preset,
    site::{Site, SiteError, normalise_hostname},
};
use sotto_store::{
    audit::{self, Action},
    db::{Databases, Db},
    releases, sites,
};

use super::output::{Listing, note, say, time};
use crate::failure::{Exit, Failure};

/// What to do with sites.
#[derive(Debug, Subcommand)]
pub enum SiteCommand {
    /// Add a site and print its script tag's key
    Add {
        /// Host name, like example.org; may be given several times
        #[arg(required = true)]
        hostnames: Vec<String>,
        /// Name; default: the first host name
        #[arg(long)]
        name: Option<String>,
        /// The client whose site it is: a folder of the list of sites
        #[arg(long, default_value = "")]
        client: String,
        /// IANA time zone in which its days begin
        #[arg(long, default_value = "UTC")]
        time_zone: String,
        /// Consent policy
        #[arg(long, value_enum, default_value_t)]
        policy: PolicyName,
        /// How many days raw events are kept (1 to 760)
        #[arg(long, default_value_t = sotto_schema::site::RETENTION_DAYS_DEFAULT)]
        retention_days: u16,
        /// How much the archive may tell of one visitor's day: the privacy loss epsilon, 1 (least) to 8
        #[arg(long, default_value_t = sotto_schema::archived::EPSILON_DEFAULT)]
        archive_epsilon: u8,
        /// Print JSON
        #[arg(long)]
        json: bool,
    },
    /// Change a site; what is not given stays as it is
    #[command(group(clap::ArgGroup::new("change").required(true).multiple(true)
        .args(["name", "client", "hostname", "time_zone", "policy", "retention_days"])))]
    Edit {
        /// Key, name or host name
        site: String,
        /// Another name
        #[arg(long)]
        name: Option<String>,
        /// The client whose site it is; empty: none
        #[arg(long)]
        client: Option<String>,
        /// Host name, like example.org, in place of all it has; may be given several times
        #[arg(long)]
        hostname: Vec<String>,
        /// IANA time zone in which its days begin
        #[arg(long)]
        time_zone: Option<String>,
        /// Consent policy
        #[arg(long, value_enum)]
        policy: Option<PolicyName>,
        /// How many days raw events are kept (1 to 760)
        #[arg(long)]
        retention_days: Option<u16>,
        /// Print JSON
        #[arg(long)]
        json: bool,
    },
    /// List all sites
    List {
        /// Print JSON
        #[arg(long)]
        json: bool,
    },
    /// Print the link that excludes a browser: whoever opens it is not counted there any more
    ExcludeLink {
        /// Key, name or host name
        site: String,
        /// Page of the site that the link opens; its script needs the module `exclude`
        #[arg(long)]
        page: Option<String>,
    },
    /// Remove a site; its events go with their retention
    Remove {
        /// Key, name or host name
        site: String,
    },
}

/// A consent policy by name.
#[derive(Debug, Clone, Copy, Default, ValueEnum)]
pub enum PolicyName {
    /// Exempt measurement unless refused, everything else with consent
    #[default]
    Cnil,
    /// Everything with consent
    Strict,
    /// Analytics and campaign fields unless refused
    Cookieless,
}

impl From<PolicyName> for Preset {
    fn from(name: PolicyName) -> Self {
        match name {
            PolicyName::Cnil => Self::Cnil,
            PolicyName::Strict => Self::Strict,
            PolicyName::Cookieless => Self::Cookieless,
        }
    }
}

/// The site that `text` names by key, name or host name.
pub async fn find(db: &Db, text: &str) -> Result<Site, Failure> {
    let sites = sites::all(db).await?;
    let host = sotto_schema::site::normalise_hostname(text).unwrap_or_default();
    let found: Vec<&Site> =
        sites.iter().filter(|s| s.key == text || s.name == text || s.hostnames.contains(&host)).collect();
    match found[..] {
        [one] => Ok(one.clone()),
        [] => Err(Failure::missing(format!("no site is called {text:?}; `sotto site list` shows them"))),
        _ => {
            Err(Failure::usage(format!("several sites are called {text:?}; use the key (`sotto site list`)")))
        }
    }
}

fn not_allowed(error: SiteError) -> Failure {
    Failure::new(error).ending(Exit::Usage)
}

/// Hits of another product's script name a host and no key: where several sites have it, they count for one of them.
async fn tell_shared_hosts(db: &Db, site: &Site) -> Result<(), Failure> {
    let sites = sites::all(db).await?;
    for other in sites.iter().filter(|other| other.id != site.id) {
        for host in site.hostnames.iter().filter(|host| other.hostnames.contains(host)) {
            note(&format!(
                "{host} is of the site {} ({}), too: hits that name no key, as of other products' scripts, count for one of both",
                other.name, other.key
            ));
        }
    }
    Ok(())
}

fn listing(sites: &[Site]) -> Listing {
    let mut listing = Listing::new(&[
        "key",
        "name",
        "client",
        "hostnames",
        "time_zone",
        "policy",
        "retention_days",
        "created",
    ]);
    for site in sites {
        listing.row(vec![
            site.key.as_str().into(),
            site.name.as_str().into(),
            site.client.as_str().into(),
            site.hostnames.clone().into(),
            site.time_zone.as_str().into(),
            site.preset.name().into(),
            site.retention_days.into(),
            time(site.created_ms),
        ]);
    }
    listing
}

/// Runs the command.
pub async fn run(command: SiteCommand, databases: &Databases, config: &Config) -> Result<(), Failure> {
    let db = &databases.writer;
    match command {
        SiteCommand::Add {
            hostnames,
            name,
            client,
            time_zone,
            policy,
            retention_days,
            archive_epsilon,
            json,
        } => {
            let name = name.unwrap_or_else(|| hostnames[0].clone());
            let hostnames: Vec<&str> = hostnames.iter().map(String::as_str).collect();
            let mut site = Site::new(&name, &hostnames, &time_zone, policy.into()).map_err(not_allowed)?;
            site.retention_days = retention_days;
            site.archive_epsilon = archive_epsilon;
            client.trim().clone_into(&mut site.client);
            site.validate().map_err(not_allowed)?;
            tell_shared_hosts(db, &site).await?;
            sites::save(db, &site).await?;
            audit::append(db, UserId::NONE, Action::SiteAdd, site.id, &site.name).await?;
            listing(&[site]).print(json)?;
        }
        SiteCommand::Edit { site, name, client, hostname, time_zone, policy, retention_days, json } => {
            let before = find(db, &site).await?;
            let mut site = before.clone();
            if !hostname.is_empty() {
                let normal: Result<_, _> = hostname.iter().map(|host| normalise_hostname(host)).collect();
                site.hostnames = normal.map_err(not_allowed)?;
            }
            if let Some(preset) = policy.map(Preset::from).filter(|preset| *preset != before.preset) {
                (site.preset, site.policy) = (preset, preset.policy());
            }
            site.name = name.map_or(site.name, |name| name.trim().to_owned());
            site.client = client.map_or(site.client, |client| client.trim().to_owned());
            site.time_zone = time_zone.unwrap_or(site.time_zone);
            site.retention_days = retention_days.unwrap_or(site.retention_days);
            site.validate().map_err(not_allowed)?;
            tell_shared_hosts(db, &site).await?;
            if site != before {
                sites::save(db, &site).await?;
                audit::append(db, UserId::NONE, Action::SiteChange, site.id, &before.changes(&site)).await?;
            }
            listing(&[site]).print(json)?;
        }
        SiteCommand::List { json } => listing(&sites::all(db).await?).print(json)?,
        SiteCommand::ExcludeLink { site, page } => {
            let site = find(db, &site).await?;
            let home = || format!("https://{}/", site.hostnames.first().map_or("", String::as_str));
            let excluder = state::open_excluder(config)?;
            say!("{}", excluder.link(&site, &page.unwrap_or_else(home)))?;
        }
        SiteCommand::Remove { site } => {
            let site = find(db, &site).await?;
            // First, so that what was cut can be done again.
            sites::remove_belongings(db, site.id).await?;
            sites::remove(db, &site).await?;
            releases::remove(db, site.id).await?;
            audit::append(db, UserId::NONE, Action::SiteRemove, site.id, &site.name).await?;
            say!("{} removed", site.name)?;
        }
    }
    Ok(())
}
