//! ClickHouse: an external server or the embedded one, with its tables in this version's shape.

use std::time::Duration;

use sotto_collector::config::{Config, Paths};
use sotto_store::{
    cluster::Cluster,
    db::Databases,
    engine::Embedded,
    migrate::{self, MigrateError},
};

use crate::cli::{self, Failure};

/// How long to wait before an external server that was away is asked again.
const MIGRATE_PAUSE: Duration = Duration::from_secs(2);

/// Reaches or starts ClickHouse and brings its tables to this version's shape.
pub async fn start(config: &Config, paths: &Paths) -> Result<(Databases, Option<Embedded>), Failure> {
    let Some(cluster) = cli::external(config) else {
        let engine = Embedded::start(cli::engine_settings(config, paths)?).await?;
        let databases = engine.databases();
        if let Err(error) = migrate::migrate(&databases.writer).await {
            engine.stop().await;
            return Err(error.into());
        }
        return Ok((databases, Some(engine)));
    };
    let databases = cluster.databases();
    match cluster.prepare().await {
        Ok(prepared) if prepared.away.is_empty() => {}
        Ok(prepared) => {
            tracing::warn!(away = ?prepared.away, "ClickHouse is away in part; hits for it wait in the spool");
            tokio::spawn(prepare_later(cluster.clone()));
        }
        Err(MigrateError::Database(error)) => {
            tracing::warn!(%error, "ClickHouse is away; hits wait in the spool until it is back");
            tokio::spawn(prepare_later(cluster.clone()));
        }
        Err(error) => return Err(error.into()),
    }
    tokio::spawn(async move { cluster.watch().await });
    Ok((databases, None))
}

async fn prepare_later(cluster: Cluster) {
    loop {
        match cluster.prepare().await {
            Ok(prepared) if prepared.away.is_empty() => break,
            Ok(prepared) => tracing::debug!(away = ?prepared.away, "ClickHouse is still away in part"),
            Err(MigrateError::Database(error)) => tracing::debug!(%error, "ClickHouse is still away"),
            Err(error) => tracing::error!(%error, "the tables are not migrated; trying again"),
        }
        tokio::time::sleep(MIGRATE_PAUSE).await;
    }
    tracing::info!("ClickHouse is there");
}
