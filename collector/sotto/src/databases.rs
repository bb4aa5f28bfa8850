//! The database that a command uses: an external one, that of a running sotto, or the embedded one, started
//! for the duration of the command.

use std::{
    fs::{self, File},
    path::PathBuf,
};

use sotto_collector::config::{Config, Paths};
use sotto_store::{
    cluster::Cluster,
    db::{Access, Databases},
    engine::{self, Embedded, Memory},
    migrate,
};

use crate::failure::Failure;

/// Locks the data directory for this process, until the file is closed.
pub fn lock(config: &Config) -> Result<File, Failure> {
    fs::create_dir_all(&config.data)
        .map_err(|e| Failure::usage(format!("data = {}: cannot be made: {e}", config.data.display())))?;
    let path = config.data.join("lock");
    let file = File::create(&path)
        .map_err(|e| Failure::usage(format!("data = {}: cannot be written: {e}", config.data.display())))?;
    rustix::fs::flock(&file, rustix::fs::FlockOperation::NonBlockingLockExclusive).map_err(|_| {
        Failure::failed(format!(
            "{} is in use by another sotto; stop it, or choose another directory with --data",
            config.data.display()
        ))
    })?;
    Ok(file)
}

/// Whether another process holds the lock. Makes nothing.
pub fn is_in_use(config: &Config) -> bool {
    let Ok(file) = File::open(config.data.join("lock")) else { return false };
    rustix::fs::flock(&file, rustix::fs::FlockOperation::NonBlockingLockShared).is_err()
}

/// Refuses a data directory in which nothing was set up: `--data` may be mistyped, and a new database in the wrong
/// place would look like an empty one.
pub fn require(config: &Config) -> Result<(), Failure> {
    let external = external(config).is_some();
    if external && config.data.is_dir() || engine_directory(config).join(engine::STORE).exists() {
        return Ok(());
    }
    let what = if external { "does not exist" } else { "has no database" };
    Err(Failure::missing(format!(
        "{} {what}; name the right directory with --data, or start `sotto serve`, which sets up a new one",
        config.data.display()
    )))
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

/// Runs a command that needs the database: on the external server, on that of a running sotto, or on the
/// embedded one, started for the duration of the command.
pub async fn with_databases<T>(
    config: &Config,
    paths: &Paths,
    command: impl AsyncFnOnce(Databases) -> Result<T, Failure>,
) -> Result<T, Failure> {
    require(config)?;
    with_new_databases(config, paths, command).await
}

/// The same, on a new database where there is none.
pub async fn with_new_databases<T>(
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
    // Whoever holds the lock owns the server. A server that still answers while nobody holds it belongs to a
    // killed sotto and is about to exit.
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
