//! Webhooks: what sends them, and `sotto webhook`.

use std::sync::Arc;

use clap::{Subcommand, ValueEnum};
use jiff::Timestamp;
use serde_json::json;
use sotto_collector::config::Config;
use sotto_dashboard::hook::{address::Reach, messenger::Messenger, sign};
use sotto_schema::{
    clock::now,
    id::{HookId, UserId},
    site::Site,
};
use sotto_store::{
    account::AccountKey,
    audit::{self, Action},
    db::Databases,
    hook::{self, Format, Hook, HookError, Kind, NewHook},
    subscription::State,
};

use crate::{
    account_key,
    cli::{
        output::{Listing, say, time},
        site::find,
    },
    failure::{Exit, Failure},
    serve::rounds::{GoOn, SendDue, Sent},
};

/// What to do with webhooks.
#[derive(Debug, Subcommand)]
pub enum WebhookCommand {
    /// Tell a server of the goals and alerts of a site; prints the secret that signs the messages, this once
    Add {
        /// Key, name or host name of the site
        site: String,
        /// Where messages go, like https://hooks.example.org/sotto
        url: String,
        /// What it is told; default: both
        #[arg(long = "tell", value_enum)]
        tell: Vec<Tell>,
        /// How it is told
        #[arg(long, value_enum, default_value_t)]
        format: Form,
        /// Print JSON
        #[arg(long)]
        json: bool,
    },
    /// List the webhooks of a site
    List {
        /// Key, name or host name of the site
        site: String,
        /// Print JSON
        #[arg(long)]
        json: bool,
    },
    /// Send a message that says nothing, and print what the server answered
    Test {
        /// Key, name or host name of the site
        site: String,
        /// Its number in the list
        id: u64,
    },
    /// Remove a webhook
    Remove {
        /// Key, name or host name of the site
        site: String,
        /// Its number in the list
        id: u64,
    },
    /// Send the messages that are due; a running sotto does it by itself
    Run {
        /// As if it were that moment, like 2026-11-30T08:00:00Z; default: now
        #[arg(long, value_name = "TIME")]
        now: Option<Timestamp>,
        /// Print JSON
        #[arg(long)]
        json: bool,
    },
}

/// What a webhook is told.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Tell {
    /// Each morning, how often each goal was reached on the day before
    Goals,
    /// What is unusual, when it is
    Alerts,
}

/// How it is told.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, ValueEnum)]
pub enum Form {
    /// Figures with names, for programs
    #[default]
    Json,
    /// A line of text, for Slack, Mattermost and bridges to Matrix
    Slack,
}

/// What sends messages.
pub fn messenger(config: &Config, databases: Databases, key: AccountKey) -> Messenger {
    Messenger::new(databases, config.public_url(), key)
}

/// Rounds of a messenger.
pub fn send(messenger: Messenger) -> SendDue {
    let messenger = Arc::new(messenger);
    Arc::new(move |now_ms, go_on: GoOn| {
        let messenger = messenger.clone();
        Box::pin(async move {
            let now = Timestamp::from_millisecond(now_ms).map_err(|error| error.to_string())?;
            let round =
                messenger.round(now, &*go_on).await.map_err(|error| Failure::new(error).to_string())?;
            Ok(Sent { sent: round.sent, failed: round.failed })
        })
    })
}

fn of_hook(error: HookError) -> Failure {
    Failure::new(error)
}

fn key(config: &Config) -> Result<AccountKey, Failure> {
    account_key::open(config).ok_or_else(|| {
        Failure::usage("webhooks are sealed with the account key, and its file cannot be used; see the log")
    })
}

async fn one(databases: &Databases, site: &Site, id: u64) -> Result<Hook, Failure> {
    let hooks = hook::all(&databases.writer, site.id).await?;
    hooks.into_iter().find(|hook| hook.id == HookId(id)).ok_or_else(|| {
        Failure::missing(format!("no webhook has the number {id}; `sotto webhook list` shows them"))
    })
}

async fn add(
    databases: &Databases,
    config: &Config,
    site: &Site,
    url: &str,
    (tell, format): (&[Tell], Form),
    json: bool,
) -> Result<(), Failure> {
    let db = &databases.writer;
    let key = key(config)?;
    let url = Reach::of_build().check(url).map_err(|e| Failure::new(e).ending(Exit::Usage))?;
    let host = url.host_str().unwrap_or_default().to_owned();
    let chosen = |kind| tell.is_empty() || tell.contains(&kind);
    let kinds = [(Tell::Goals, Kind::Goals), (Tell::Alerts, Kind::Alerts)];
    let kinds: Vec<Kind> =
        kinds.into_iter().filter(|(told, _)| chosen(*told)).map(|(_, kind)| kind).collect();
    let format = match format {
        Form::Json => Format::Json,
        Form::Slack => Format::Slack,
    };
    let new = NewHook { url: url.as_str(), host: &host, kinds: &kinds, format };
    let added = hook::add(db, &key, site.id, UserId::NONE, new).await.map_err(of_hook)?;
    let what = format!("webhook {}: {host}", added.id);
    audit::append(db, UserId::NONE, Action::HookAdd, site.id, &what).await?;
    let target = added.open(&key).map_err(|error| of_hook(error.into()))?;
    let secret = sign::shown(&target.secret);
    if json {
        let mut listing = Listing::new(&["id", "host", "secret"]);
        listing.row(vec![added.id.to_string().into(), host.into(), secret.into()]);
        listing.print(true)?;
    } else {
        say!(
            "{host} is told of {} from now on. Its messages are signed with this secret, which is shown this once:\n{secret}",
            site.name
        )?;
    }
    Ok(())
}

/// Runs `sotto webhook`.
pub async fn run(command: WebhookCommand, databases: &Databases, config: &Config) -> Result<(), Failure> {
    let db = &databases.writer;
    match command {
        WebhookCommand::Add { site, url, tell, format, json } => {
            let site = find(db, &site).await?;
            add(databases, config, &site, &url, (&tell, format), json).await?;
        }
        WebhookCommand::List { site, json } => {
            let site = find(db, &site).await?;
            let mut listing = Listing::new(&["id", "host", "tells", "format", "created"]);
            for hook in hook::all(db, site.id).await? {
                listing.row(vec![
                    hook.id.to_string().into(),
                    hook.host.into(),
                    hook.kinds.iter().map(|kind| kind.name().to_owned()).collect::<Vec<_>>().into(),
                    hook.format.name().into(),
                    time(hook.created_ms),
                ]);
            }
            listing.print(json)?;
        }
        WebhookCommand::Test { site, id } => {
            let site = find(db, &site).await?;
            let hook = one(databases, &site, id).await?;
            let answer = messenger(config, databases.clone(), key(config)?).test(&hook, &site).await;
            let code = if answer.code == 0 { String::new() } else { format!(", status {}", answer.code) };
            if answer.state != State::Sent {
                return Err(
                    Failure::usage(format!("{}: {}{code}", hook.host, answer.why)).ending(Exit::Failed)
                );
            }
            say!("{} accepted the test message{code}", hook.host)?;
        }
        WebhookCommand::Remove { site, id } => {
            let site = find(db, &site).await?;
            let hook = one(databases, &site, id).await?;
            hook::remove(db, site.id, hook.id).await?;
            let what = format!("webhook {id}: {}", hook.host);
            audit::append(db, UserId::NONE, Action::HookRemove, site.id, &what).await?;
            say!("webhook {id} removed")?;
        }
        WebhookCommand::Run { now: at, json } => {
            let messenger = messenger(config, databases.clone(), key(config)?);
            let round = messenger.round(at.unwrap_or_else(now), &|| true).await?;
            if json {
                say!("{}", json!({"sent": round.sent, "failed": round.failed}))?;
            } else {
                say!("{} sent, {} not accepted", round.sent, round.failed)?;
            }
        }
    }
    Ok(())
}
