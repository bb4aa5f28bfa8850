//! ClickHouse: an external server or the embedded one, migrated to this version's schema.

use std::{sync::Arc, time::Duration};

use sotto_collector::{
    config::{Config, Paths},
    supervise::{Board, Part, Supervisor},
};
use sotto_store::{
    cluster::Cluster,
    db::Databases,
    engine::{Embedded, Health},
    migrate::{self, MigrateError},
};

use tokio::sync::watch;

use crate::{databases, failure::Failure};

/// Pause before an external server that was unreachable is tried again.
const MIGRATE_PAUSE: Duration = Duration::from_secs(2);

/// Where events are stored, and what has to be monitored for it.
pub enum Database {
    /// A server run by the operator.
    External {
        /// Its connections.
        cluster: Cluster,
        /// Whether all servers have the tables they need.
        is_prepared: bool,
    },
    /// A child of this process.
    Embedded(Embedded),
}

/// Connects to ClickHouse or starts it, and migrates its tables to this version's schema.
pub async fn start(config: &Config, paths: &Paths) -> Result<Database, Failure> {
    let Some(cluster) = databases::external(config) else {
        let engine = Embedded::start(databases::engine_settings(config, paths)?).await?;
        if let Err(error) = migrate::migrate(&engine.databases().writer).await {
            engine.stop().await;
            return Err(error.into());
        }
        return Ok(Database::Embedded(engine));
    };
    let is_prepared = match cluster.prepare().await {
        Ok(prepared) if prepared.away.is_empty() => true,
        Ok(prepared) => {
            tracing::warn!(away = ?prepared.away, "ClickHouse is away in part; hits for it wait in the spool");
            false
        }
        Err(MigrateError::Database(error)) => {
            tracing::warn!(%error, "ClickHouse is away; hits wait in the spool until it is back");
            false
        }
        Err(error) => return Err(error.into()),
    };
    Ok(Database::External { cluster, is_prepared })
}

impl Database {
    /// The connections.
    pub fn databases(&self) -> Databases {
        match self {
            Self::External { cluster, .. } => cluster.databases(),
            Self::Embedded(engine) => engine.databases(),
        }
    }

    /// Monitors it from now on.
    pub fn watch(&self, board: &Arc<Board>, supervisor: &Supervisor) {
        match self {
            Self::External { cluster, is_prepared } => {
                watch_cluster(cluster, supervisor);
                if !is_prepared {
                    let cluster = cluster.clone();
                    supervisor.finish(Part::Migrations, move || prepare_later(cluster.clone()));
                }
            }
            Self::Embedded(engine) => {
                let health = engine.health();
                drop(supervisor.need(Part::ClickHouse, note_ends(health, board.clone())));
            }
        }
    }

    /// Stops what was started.
    pub async fn stop(self) {
        if let Self::Embedded(engine) = self {
            engine.stop().await;
        }
    }
}

/// Switches to another replica where one does not answer.
pub fn watch_cluster(cluster: &Cluster, supervisor: &Supervisor) {
    let (cluster, stop) = (cluster.clone(), supervisor.stopping().clone());
    supervisor.keep(Part::ClusterWatch, move || {
        let (cluster, stop) = (cluster.clone(), stop.clone());
        async move {
            tokio::select! {
                () = stop.cancelled() => {}
                never = cluster.watch() => match never {},
            }
        }
    });
}

/// Reports on the board when the embedded server's process ends. Returns when nothing will restart it.
async fn note_ends(mut health: watch::Receiver<Health>, board: Arc<Board>) {
    let mut down = None;
    while health.changed().await.is_ok() {
        down = match *health.borrow_and_update() {
            Health::Up => None,
            Health::Down => down.or_else(|| Some(board.ended(Part::ClickHouse))),
        };
    }
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
    tracing::info!("ClickHouse is available");
}
