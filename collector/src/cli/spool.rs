//! `sotto spool`

use std::{sync::Arc, time::Duration};

use clap::Subcommand;
use sotto_collector::{config::Config, ship::Shipper, spool, spools};

use super::{Failure, Places, external, lock, output::Listing, serve, with_databases};

/// What to do with hits that wait for ClickHouse.
#[derive(Debug, Subcommand)]
pub enum SpoolCommand {
    /// List the segments and what can be read of them; works beside a running sotto
    Inspect {
        /// Answer in JSON
        #[arg(long)]
        json: bool,
    },
    /// Ship what waits to ClickHouse now; only while no sotto runs on the same data, which does it by itself
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
    let running = |_| Failure::usage("a sotto is running on this data; it ships what waits by itself");
    let taken = lock(config).map_err(running)?;
    // The embedded server takes the lock for itself; with an external one it is kept here.
    let _kept = external(config).is_some().then_some(taken);
    let shipped = with_databases(config, places, async |databases| {
        let (_spools, readers) = serve::open_spools(config)?;
        let mut shipped = 0;
        for (reader, db) in readers.into_iter().zip(databases.writer.shards()) {
            let mut shipper = Shipper {
                reader,
                db,
                interval: Duration::ZERO,
                rows_max: config.ship.batch_rows_max,
                metrics: Arc::default(),
            };
            loop {
                match shipper.ship_one().await? {
                    0 => break,
                    count => shipped += count,
                }
            }
        }
        Ok(shipped)
    })
    .await?;
    println!("{shipped} hits shipped");
    Ok(())
}

fn inspect(json: bool, config: &Config) -> Result<(), Failure> {
    let mut listing = Listing::new(&["segment", "first", "records", "waiting", "bytes", "state"]);
    let spools = (0..serve::shard_count(config)).map(|shard| spools::directory(&config.data, shard));
    for segment in
        spools.map(|dir| spool::inspect(&dir)).collect::<Result<Vec<_>, _>>()?.into_iter().flatten()
    {
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
