//! The command line: parsing, and the commands other than the server.

use std::{
    io::{self, IsTerminal},
    path::{Path, PathBuf},
};

use clap::{Parser, Subcommand};
use sotto_collector::config::{Config, ConfigError, Paths};

use crate::{
    databases::with_databases,
    environment::Environment,
    failure::{Exit, Failure},
};

pub mod accounts;
pub mod annotation;
pub mod archive;
pub mod backup;
pub mod data;
pub mod doctor;
pub mod funnel;
pub mod geoip;
pub mod mail;
pub mod output;
mod password;
pub mod privacy;
mod progress;
pub mod retention;
pub mod salts;
pub mod share;
pub mod site;
pub mod spool;

/// Privacy-first website analytics that keeps its promises.
#[derive(Debug, Parser)]
#[command(name = "sotto", version, about, max_term_width = 100, args_override_self = true, after_help = Exit::table())]
pub struct Args {
    /// Configuration file. Default: sotto.toml if it is there.
    #[arg(long, global = true, value_name = "FILE")]
    config: Option<PathBuf>,
    /// Data directory. Overrides SOTTO_DATA and the file.
    #[arg(long, global = true, value_name = "DIR")]
    data: Option<PathBuf>,
    /// Public address. Overrides SOTTO_LISTEN and the file.
    #[arg(long, global = true, value_name = "ADDRESS")]
    listen: Option<String>,
    /// Write the log as JSON lines.
    #[arg(long, global = true)]
    pub json_log: bool,
    /// What to do. Default: serve.
    #[command(subcommand)]
    pub command: Option<Command>,
}

/// The commands.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Collector, dashboard and jobs in one (the default)
    Serve,
    /// The collector and its jobs, without the dashboard
    Collect,
    /// The dashboard alone, on an external ClickHouse
    Dashboard,
    /// Fill demo.example with 90 days of traffic, then serve
    Demo(crate::demo::DemoArgs),
    /// Sites: what is measured, and by which rules
    #[command(subcommand)]
    Site(site::SiteCommand),
    /// People who may sign in
    #[command(subcommand)]
    User(accounts::UserCommand),
    /// API tokens for programs
    #[command(subcommand)]
    Token(accounts::TokenCommand),
    /// Links by which people without an account read the reports of a site
    #[command(subcommand)]
    Share(share::ShareCommand),
    /// What counts as success on a site
    #[command(subcommand)]
    Goal(accounts::GoalCommand),
    /// Ways through a site on which visits are followed
    #[command(subcommand)]
    Funnel(funnel::FunnelCommand),
    /// What stands at the days of a site's charts
    #[command(subcommand)]
    Annotation(annotation::AnnotationCommand),
    /// A report as a table or JSON
    Report(ReportArgs),
    /// The permanent anonymous archive: seal days, verify it
    #[command(subcommand)]
    Archive(archive::ArchiveCommand),
    /// Salts: when they were created and destroyed
    #[command(subcommand)]
    Salts(salts::SaltsCommand),
    /// How long data is kept, and what was removed when
    #[command(subcommand)]
    Retention(retention::RetentionCommand),
    /// Records of processing, notice, and the rights of visitors
    #[command(subcommand)]
    Privacy(privacy::PrivacyCommand),
    /// Raw events of a site as JSON lines on standard output
    Export(data::ExportArgs),
    /// Events from a file that `sotto export` wrote
    Import(data::ImportArgs),
    /// Back the embedded database up into an encrypted archive
    Backup(backup::BackupArgs),
    /// Restore a backup into an empty data directory
    Restore(backup::RestoreArgs),
    /// Reports and alerts by mail
    #[command(subcommand)]
    Mail(mail::MailCommand),
    /// Servers that are told of goals and alerts
    #[command(subcommand)]
    Webhook(crate::webhooks::WebhookCommand),
    /// Hits waiting for ClickHouse
    #[command(subcommand)]
    Spool(spool::SpoolCommand),
    /// GeoIP files
    #[command(subcommand)]
    Geoip(geoip::GeoipCommand),
    /// Check this installation and say what is wrong
    Doctor(doctor::DoctorArgs),
}

/// `sotto report`
#[derive(Debug, clap::Args)]
pub struct ReportArgs {
    /// Key, name or host name of the site
    pub site: String,
    /// First day, like 2026-11-01; default: 29 days before the last
    #[arg(long)]
    pub from: Option<String>,
    /// Last day, like 2026-11-30; default: today
    #[arg(long)]
    pub to: Option<String>,
    /// What to count, like visitors,pageviews
    #[arg(long, default_value = "visitors,visits,pageviews", value_delimiter = ',')]
    pub metrics: Vec<String>,
    /// What to count it by, like page, source or country
    #[arg(long)]
    pub by: Option<String>,
    /// Filter, like country=DE or page!=/ ; may be given several times
    #[arg(long)]
    pub filter: Vec<String>,
    /// Maximum number of rows
    #[arg(long, default_value_t = 100)]
    pub limit: u32,
    /// Where figures of sealed days come from: auto, archive or raw
    #[arg(long)]
    pub source: Option<String>,
    /// Print JSON
    #[arg(long)]
    pub json: bool,
}

/// The configuration: file, then environment, then options.
pub fn configuration(args: &Args, environment: &Environment) -> Result<Config, Failure> {
    let default = Path::new("sotto.toml");
    let mut config = match &args.config {
        Some(path) => load(path)?,
        None if default.exists() => load(default)?,
        None => Config::default(),
    };
    if let Some(data) = args.data.clone().or_else(|| environment.data.clone().map(PathBuf::from)) {
        config.data = data;
    }
    let listen = [("--listen", &args.listen), ("SOTTO_LISTEN", &environment.listen)];
    if let Some((origin, Some(listen))) = listen.into_iter().find(|(_, value)| value.is_some()) {
        config.listen = listen.parse().map_err(|_| {
            Failure::usage(format!("{origin} = {listen:?}, but it must be like 127.0.0.1:8787"))
        })?;
        // A second copy on one machine must not compete for the private port: it takes a free one.
        if args.config.is_none()
            && !default.exists()
            && config.listen.port() != Config::default().listen.port()
        {
            config.admin_listen.set_port(if config.listen.port() == 0 {
                0
            } else {
                config.listen.port() + 1
            });
        }
    }
    if let Some(url) = &environment.clickhouse_url {
        config.clickhouse.url = Some(url.clone());
    }
    let usage = |e| Failure::new(e).ending(Exit::Usage);
    config.check("the environment or an option").map_err(usage)?;
    Ok(config)
}

fn load(path: &Path) -> Result<Config, Failure> {
    Config::load(path).map_err(|error| {
        let exit = match &error {
            ConfigError::Read { source, .. } if source.kind() == io::ErrorKind::NotFound => Exit::Missing,
            ConfigError::Read { .. } => Exit::Failed,
            ConfigError::Parse { .. } | ConfigError::Range { .. } => Exit::Usage,
        };
        Failure::new(error).ending(exit)
    })
}

/// Starts the log on standard error.
pub fn init_log(filter: Option<&str>, json: bool) {
    let filter = tracing_subscriber::EnvFilter::try_new(filter.unwrap_or("info"))
        .unwrap_or_else(|_| tracing_subscriber::EnvFilter::new("info"));
    let log =
        tracing_subscriber::fmt().with_env_filter(filter).with_writer(std::io::stderr).with_target(false);
    // A standard error that is closed or full must not end the program.
    let log = log.with_ansi(std::io::stderr().is_terminal()).log_internal_errors(false);
    if json { log.json().init() } else { log.compact().init() }
}

/// Runs the commands that need neither server nor dashboard.
pub async fn dispatch(
    command: Command,
    config: Config,
    paths: Paths,
    front: crate::serve::Front<'_>,
) -> Result<(), Failure> {
    match command {
        Command::Demo(args) => crate::demo::run(args, config, paths, front).await,
        Command::Site(command) => {
            with_databases(&config, &paths, async |db| site::run(command, &db, &config).await).await
        }
        Command::User(command) => {
            with_databases(&config, &paths, async |db| accounts::user(command, &db).await).await
        }
        Command::Token(command) => {
            with_databases(&config, &paths, async |db| accounts::token(command, &db).await).await
        }
        Command::Goal(command) => {
            with_databases(&config, &paths, async |db| accounts::goal(command, &db).await).await
        }
        Command::Funnel(command) => {
            with_databases(&config, &paths, async |db| funnel::run(command, &db).await).await
        }
        Command::Annotation(command) => {
            with_databases(&config, &paths, async |db| annotation::run(command, &db).await).await
        }
        Command::Archive(command) => {
            with_databases(&config, &paths, async |db| archive::run(command, &db).await).await
        }
        Command::Salts(command) => {
            with_databases(&config, &paths, async |db| salts::run(command, &db).await).await
        }
        Command::Retention(command) => {
            with_databases(&config, &paths, async |db| retention::run(command, &db, &config).await).await
        }
        Command::Privacy(command) => privacy::run(command, &config, &paths).await,
        Command::Export(args) => {
            with_databases(&config, &paths, async |db| data::export(args, &db).await).await
        }
        Command::Import(args) => {
            with_databases(&config, &paths, async |db| data::import(args, &db).await).await
        }
        Command::Backup(args) => backup::backup(args, &config, &paths).await,
        Command::Restore(args) => backup::restore(args, &config, &paths).await,
        Command::Spool(command) => spool::run(command, &config, &paths).await,
        Command::Geoip(command) => geoip::run(command, &paths),
        Command::Serve
        | Command::Collect
        | Command::Dashboard
        | Command::Report(_)
        | Command::Share(_)
        | Command::Mail(_)
        | Command::Webhook(_)
        | Command::Doctor(_) => Err(Failure::usage("main runs these commands itself")),
    }
}
