//! `sotto spool`

use std::{fs, path::Path, sync::Arc, time::Duration};

use clap::Subcommand;
use sotto_collector::{
    config::Config,
    ship::{self, Progress, ShipError, Shipper},
    spool,
};
use sotto_schema::db::{Databases, Db};

use super::{Failure, Places, external, lock, output::Listing, serve, with_databases};

/// What to do with hits that wait for ClickHouse.
#[derive(Debug, Subcommand)]
pub enum SpoolCommand {
    /// List the segments, the batches set aside, and what can be read of them; works beside a running sotto
    Inspect {
        /// Answer in JSON
        #[arg(long)]
        json: bool,
    },
    /// Ship batches that were set aside; and what waits, if no sotto runs on the same data, which does it by itself
    Replay,
}

/// Runs the command.
pub async fn run(command: SpoolCommand, config: &Config, places: &Places) -> Result<(), Failure> {
    match command {
        SpoolCommand::Inspect { json } => inspect(json, config),
        SpoolCommand::Replay => replay(config, places).await,
    }
}

async fn replay(config: &Config, places: &Places) -> Result<(), Failure> {
    let dir = config.data.join("spool");
    let taken = match lock(config) {
        Ok(taken) => taken,
        Err(_) if spool::set_aside(&dir)?.is_empty() => {
            return Err(Failure::usage(
                "a sotto is running on this data; it ships what waits by itself, and nothing is set aside",
            ));
        }
        Err(_) => {
            return with_databases(config, places, async |databases| {
                replay_aside(&dir, &databases.writer).await
            })
            .await;
        }
    };
    // The embedded server takes the lock for itself; with an external one it is kept here.
    let _kept = external(config).is_some().then_some(taken);
    with_databases(config, places, async |databases| {
        let shipped = ship_waiting(config, &databases).await?;
        println!("{shipped} hits shipped");
        replay_aside(&dir, &databases.writer).await
    })
    .await
}

/// Ships what waits while no sotto runs on the data; how many hits it was.
pub async fn ship_all(config: &Config, places: &Places) -> Result<u64, Failure> {
    let running = |_| Failure::usage("a sotto is running on this data; it ships what waits by itself");
    let taken = lock(config).map_err(running)?;
    // The embedded server takes the lock for itself; with an external one it is kept here.
    let _kept = external(config).is_some().then_some(taken);
    with_databases(config, places, async |databases| ship_waiting(config, &databases).await).await
}

async fn ship_waiting(config: &Config, databases: &Databases) -> Result<u64, Failure> {
    let (spool, reader) = serve::open_spool(config)?;
    let mut shipper = Shipper {
        reader,
        db: databases.writer.clone(),
        interval: Duration::ZERO,
        rows_max: config.ship.batch_rows_max,
        metrics: Arc::default(),
        refusals: 0,
    };
    let mut shipped = 0;
    loop {
        match shipper.ship_one().await {
            Ok(Progress::Nothing) => break,
            Ok(Progress::Shipped(count)) => shipped += count,
            // Said below. A refused batch is tried a few times before it is set aside.
            Ok(Progress::SetAside(_)) | Err(ShipError::Refused(_)) => {}
            Err(error) => return Err(error.into()),
        }
    }
    spool.forget_shipped().await?;
    Ok(shipped)
}

/// Ships every batch that was set aside, each under its token, and removes its file.
async fn replay_aside(dir: &Path, db: &Db) -> Result<(), Failure> {
    let mut failed = 0;
    for file in spool::set_aside(dir)? {
        let shipped = async {
            let batch = spool::read_aside(&file)?;
            ship::ship(db, &batch).await?;
            Ok::<u64, ShipError>(batch.count)
        };
        match shipped.await {
            Ok(count) => {
                fs::remove_file(&file.path)?;
                println!("{count} hits that were set aside shipped");
            }
            Err(error) => {
                println!("{}: {}", file.path.display(), Failure::new(error));
                failed += 1;
            }
        }
    }
    if failed > 0 { Err(Failure::usage(format!("{failed} batches are still set aside"))) } else { Ok(()) }
}

fn inspect(json: bool, config: &Config) -> Result<(), Failure> {
    let mut listing = Listing::new(&["segment", "first", "records", "waiting", "bytes", "state"]);
    for segment in spool::inspect(&config.data.join("spool"))? {
        listing.row(vec![
            segment.path.display().to_string().into(),
            segment.first.into(),
            segment.records.into(),
            segment.waiting.into(),
            segment.bytes.into(),
            segment.state.into(),
        ]);
    }
    listing.print(json);
    Ok(())
}
