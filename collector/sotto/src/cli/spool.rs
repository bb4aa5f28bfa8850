//! `sotto spool`

use std::{fs, path::PathBuf, sync::Arc, time::Duration};

use clap::Subcommand;
use sotto_collector::{
    config::Config,
    ship::{self, Progress, ShipError, Shipper},
    spool::{self, sharded},
    state,
};
use sotto_store::db::Databases;

use super::output::{Listing, say};
use crate::{
    databases::{external, lock, require, with_databases},
    failure::Failure,
};
use sotto_collector::config::Paths;

/// What to do with hits that wait for ClickHouse.
#[derive(Debug, Subcommand)]
pub enum SpoolCommand {
    /// List the segments, the batches set aside, and what can be read of them; works beside a running sotto
    Inspect {
        /// Print JSON
        #[arg(long)]
        json: bool,
    },
    /// Ship batches that were set aside; and what waits, if no sotto runs on the same data, which does it by itself
    Replay,
}

/// Runs the command.
pub async fn run(command: SpoolCommand, config: &Config, paths: &Paths) -> Result<(), Failure> {
    match command {
        SpoolCommand::Inspect { json } => inspect(json, config),
        SpoolCommand::Replay => replay(config, paths).await,
    }
}

async fn replay(config: &Config, paths: &Paths) -> Result<(), Failure> {
    require(config)?;
    let mut aside = 0;
    for dir in directories(config) {
        aside += spool::set_aside(&dir)?.len();
    }
    let taken = match lock(config) {
        Ok(taken) => taken,
        Err(_) if aside == 0 => {
            return Err(Failure::failed(
                "a sotto is running on this data; it ships what waits by itself, and nothing is set aside",
            ));
        }
        Err(_) => {
            return with_databases(config, paths, async |databases| replay_aside(config, &databases).await)
                .await;
        }
    };
    // The embedded server takes the lock itself; with an external one it is held here.
    let _kept = external(config).is_some().then_some(taken);
    with_databases(config, paths, async |databases| {
        let shipped = ship_waiting(config, &databases).await?;
        say!("{shipped} hits shipped")?;
        replay_aside(config, &databases).await
    })
    .await
}

/// Ships pending hits while no sotto runs on the data. Returns how many hits it shipped.
pub async fn ship_all(config: &Config, paths: &Paths) -> Result<u64, Failure> {
    let running = |_| Failure::failed("a sotto is running on this data; it ships what waits by itself");
    let taken = lock(config).map_err(running)?;
    // The embedded server takes the lock itself; with an external one it is held here.
    let _kept = external(config).is_some().then_some(taken);
    with_databases(config, paths, async |databases| ship_waiting(config, &databases).await).await
}

async fn ship_waiting(config: &Config, databases: &Databases) -> Result<u64, Failure> {
    let (spools, readers) = state::open_spools(config)?;
    let mut shipped = 0;
    for (reader, db) in readers.into_iter().zip(databases.writer.shards()) {
        let rows_max = config.ship.batch_rows_max;
        let mut shipper = Shipper::new(reader, db, Duration::ZERO, rows_max, Arc::default());
        loop {
            match shipper.ship_one().await {
                Ok(Progress::Nothing) => break,
                Ok(Progress::Shipped(count)) => shipped += count,
                // Reported below. A refused batch is retried a few times before it is set aside.
                Ok(Progress::SetAside(_)) | Err(ShipError::Refused(_)) => {}
                Err(error) => return Err(error.into()),
            }
        }
    }
    spools.forget_shipped().await?;
    Ok(shipped)
}

/// The spool directories of all shards, in order.
fn directories(config: &Config) -> impl Iterator<Item = PathBuf> {
    (0..config.shard_count()).map(|shard| sharded::directory(&config.data, shard))
}

/// Ships every batch that was set aside, each to its shard with its token, and removes its file.
async fn replay_aside(config: &Config, databases: &Databases) -> Result<(), Failure> {
    let mut failed = 0;
    for (dir, db) in directories(config).zip(databases.writer.shards()) {
        for file in spool::set_aside(&dir)? {
            let shipped = async {
                let batch = spool::read_aside(&file)?;
                ship::ship(&db, &batch).await?;
                Ok::<u64, ShipError>(batch.count)
            };
            match shipped.await {
                Ok(count) => {
                    fs::remove_file(&file.path)?;
                    say!("{count} hits that were set aside shipped")?;
                }
                Err(error) => {
                    say!("{}: {}", file.path.display(), Failure::new(error))?;
                    failed += 1;
                }
            }
        }
    }
    if failed > 0 { Err(Failure::failed(format!("{failed} batches are still set aside"))) } else { Ok(()) }
}

fn inspect(json: bool, config: &Config) -> Result<(), Failure> {
    require(config)?;
    let mut listing = Listing::new(&["segment", "first", "records", "waiting", "damaged", "bytes", "state"]);
    let found = directories(config).map(|dir| spool::inspect(&dir)).collect::<Result<Vec<_>, _>>()?;
    for segment in found.into_iter().flatten() {
        listing.row(vec![
            segment.path.display().to_string().into(),
            segment.first.into(),
            segment.records.into(),
            segment.waiting.into(),
            segment.damaged.into(),
            segment.bytes.into(),
            segment.state.into(),
        ]);
    }
    listing.print(json)?;
    Ok(())
}
