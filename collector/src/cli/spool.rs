//! `sotto spool`

use clap::Subcommand;
use sotto_collector::{config::Config, spool};

use super::{Failure, output::Listing};

/// What to do with hits that wait for ClickHouse.
#[derive(Debug, Subcommand)]
pub enum SpoolCommand {
    /// List the segments and what can be read of them; works beside a running sotto
    Inspect {
        /// Answer in JSON
        #[arg(long)]
        json: bool,
    },
}

/// Runs the command.
pub fn run(command: SpoolCommand, config: &Config) -> Result<(), Failure> {
    let SpoolCommand::Inspect { json } = command;
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
