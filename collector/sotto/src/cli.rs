//! The command line: what was typed, what it means, and the commands that are not the server.

use std::{
    fmt,
    fs::{self, File},
    io::IsTerminal,
    path::{Path, PathBuf},
};

use clap::{Parser, Subcommand};
use sotto_collector::config::{Config, Paths};
use sotto_store::{
    cluster::Cluster,
    db::{Access, Databases},
    engine::{self, Embedded, Memory},
    migrate,
};

use crate::environment::Environment;

pub mod account_key;
pub mod accounts;
pub mod archive;
pub mod backup;
pub mod data;
pub mod doctor;
pub mod geoip;
pub mod output;
mod password;
pub mod privacy;
pub mod retention;
pub mod salts;
pub mod site;
pub mod spool;

/// Version of the embedded server's library that this program was measured with.
pub const LIBCHDB_VERSION: &str = "26.7.3-stable.1";

/// Privacy-first website analytics that keeps its promises.
#[derive(Debug, Parser)]
#[command(name = "sotto", version, about, max_term_width = 100, args_override_self = true)]
pub struct Args {
    /// Configuration file. Default: sotto.toml if it is there.
    #[arg(long, global = true, value_name = "FILE")]
    config: Option<PathBuf>,
    /// Where everything is kept. Overrides SOTTO_DATA and the file.
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
    /// Keys for programs
    #[command(subcommand)]
    Token(accounts::TokenCommand),
    /// What counts as success on a site
    #[command(subcommand)]
    Goal(accounts::GoalCommand),
    /// A report as a table or JSON
    Report(ReportArgs),
    /// Anonymous cells that stay for ever: make them, prove them
    #[command(subcommand)]
    Archive(archive::ArchiveCommand),
    /// Salts: when they lived and died
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
    /// Hits that wait for ClickHouse
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
    /// Only what matches, like country=DE or page!=/ ; may be given several times
    #[arg(long)]
    pub filter: Vec<String>,
    /// Most rows
    #[arg(long, default_value_t = 100)]
    pub limit: u32,
    /// Where figures of sealed days come from: auto, archive or raw
    #[arg(long)]
    pub source: Option<String>,
    /// Answer in JSON
    #[arg(long)]
    pub json: bool,
}

/// Why a command failed, with the exit code.
#[derive(Debug)]
pub struct Failure {
    message: String,
    /// 1: it failed; 2: it was asked wrongly.
    pub code: u8,
}

impl Failure {
    /// A failure with all its causes.
    pub fn new(error: impl std::error::Error) -> Self {
        let mut message = error.to_string();
        let mut source = error.source();
        while let Some(cause) = source {
            let text = cause.to_string();
            if !message.contains(&text) {
                message.push_str(": ");
                message.push_str(&text);
            }
            source = cause.source();
        }
        Self { message, code: 1 }
    }

    /// Something was asked that cannot be.
    pub fn usage(message: impl Into<String>) -> Self {
        Self { message: message.into(), code: 2 }
    }
}

impl<E: std::error::Error> From<E> for Failure {
    fn from(error: E) -> Self {
        Self::new(error)
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

/// Says what went wrong.
#[allow(clippy::print_stderr)]
pub fn complain(failure: &Failure) {
    eprintln!("sotto: {failure}");
}

/// The configuration: file, then environment, then options.
pub fn configuration(args: &Args, environment: &Environment) -> Result<Config, Failure> {
    let default = Path::new("sotto.toml");
    let mut config = match &args.config {
        Some(path) => Config::load(path)?,
        None if default.exists() => Config::load(default)?,
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
        // A second copy on one machine must not fight for the private port: it takes a free one.
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
    config.check("the environment or an option")?;
    Ok(config)
}

/// Starts the log on standard error.
pub fn init_log(filter: Option<&str>, json: bool) {
    let filter = tracing_subscriber::EnvFilter::try_new(filter.unwrap_or("info"))
        .unwrap_or_else(|_| tracing_subscriber::EnvFilter::new("info"));
    let log =
        tracing_subscriber::fmt().with_env_filter(filter).with_writer(std::io::stderr).with_target(false);
    let log = log.with_ansi(std::io::stderr().is_terminal());
    if json { log.json().init() } else { log.compact().init() }
}

/// Takes the data directory for this process alone, until the file is closed.
pub fn lock(config: &Config) -> Result<File, Failure> {
    fs::create_dir_all(&config.data)
        .map_err(|e| Failure::usage(format!("data = {}: cannot be made: {e}", config.data.display())))?;
    let path = config.data.join("lock");
    let file = File::create(&path)
        .map_err(|e| Failure::usage(format!("data = {}: cannot be written: {e}", config.data.display())))?;
    rustix::fs::flock(&file, rustix::fs::FlockOperation::NonBlockingLockExclusive).map_err(|_| {
        Failure::usage(format!(
            "{} is in use by another sotto; stop it, or choose another directory with --data",
            config.data.display()
        ))
    })?;
    Ok(file)
}

/// Where the embedded server keeps its files.
pub fn engine_directory(config: &Config) -> PathBuf {
    config.data.join("clickhouse")
}

/// How the embedded server is started.
pub fn engine_settings(config: &Config, paths: &Paths) -> Result<engine::Settings, Failure> {
    let server_bytes = config.clickhouse.memory.as_u64();
    Ok(engine::Settings {
        dir: engine_directory(config),
        library: paths.library.clone(),
        program: std::env::current_exe()?,
        memory: Memory { server_bytes, query_bytes: server_bytes / 2 },
    })
}

/// The external server or servers, if any are configured.
pub fn external(config: &Config) -> Option<Cluster> {
    let clickhouse = &config.clickhouse;
    let access = |url: &String| Access {
        url: url.clone(),
        database: clickhouse.database.clone(),
        user: clickhouse.user.clone(),
        password: clickhouse.password.0.clone(),
    };
    if let Some(url) = &clickhouse.url {
        return Some(Cluster::single(access(url)));
    }
    if clickhouse.shards.is_empty() {
        return None;
    }
    let shards = clickhouse.shards.iter().map(|replicas| replicas.iter().map(access).collect());
    Some(Cluster::new(shards.collect(), clickhouse.cluster.clone()))
}

/// Runs a command that needs the database: on the external server, on the one a running sotto has, or on the embedded
/// one, started for as long as the command takes.
pub async fn with_databases<T>(
    config: &Config,
    paths: &Paths,
    command: impl AsyncFnOnce(Databases) -> Result<T, Failure>,
) -> Result<T, Failure> {
    if let Some(cluster) = external(config) {
        for url in cluster.prepare().await?.away {
            tracing::warn!(url, "a ClickHouse server is away; what it holds is missing");
        }
        let command = command(cluster.databases());
        return tokio::select! {
            result = command => result,
            never = cluster.watch() => match never {},
        };
    }
    // Whoever has the lock has the server. One that still answers without it belongs to a sotto that was killed, and
    // is about to end.
    let _lock = match lock(config) {
        Ok(lock) => lock,
        Err(taken) => {
            let databases = engine::running(&engine_directory(config)).await.ok_or(taken)?;
            return command(databases).await;
        }
    };
    let engine = Embedded::start(engine_settings(config, paths)?).await?;
    let databases = engine.databases();
    let result = match migrate::migrate(&databases.writer).await {
        Ok(_) => command(databases).await,
        Err(error) => Err(error.into()),
    };
    engine.stop().await;
    result
}

/// Runs the commands that need neither server nor dashboard.
pub async fn dispatch(
    command: Command,
    config: Config,
    paths: Paths,
    dashboard: crate::serve::dashboard::MakeDashboard<'_>,
) -> Result<(), Failure> {
    match command {
        Command::Demo(args) => crate::demo::run(args, config, paths, dashboard).await,
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
        Command::Doctor(args) => doctor::run(args, &config, &paths).await,
        Command::Serve | Command::Collect | Command::Dashboard | Command::Report(_) => {
            Err(Failure::usage("main runs these commands itself"))
        }
    }
}
