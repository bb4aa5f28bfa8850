//! `sotto geoip`

use std::{fs::File, path::PathBuf};

use clap::Subcommand;

use super::Failure;

/// What to do with GeoIP files.
#[derive(Debug, Subcommand)]
pub enum GeoipCommand {
    /// Make a database of networks from CSV files of address ranges
    BuildAsn {
        /// CSV files: first address, last address, number, operator
        #[arg(required = true)]
        csv: Vec<PathBuf>,
        /// The .mmdb file to make
        #[arg(long)]
        out: PathBuf,
    },
}

/// Runs the command.
pub fn run(command: GeoipCommand) -> Result<(), Failure> {
    let GeoipCommand::BuildAsn { csv, out } = command;
    let files = csv
        .iter()
        .map(|path| File::open(path).map_err(|e| Failure::usage(format!("{}: {e}", path.display()))))
        .collect::<Result<Vec<_>, _>>()?;
    let seconds = u64::try_from(jiff::Timestamp::now().as_second()).unwrap_or(0);
    let built = sotto_geoip::asn::write_mmdb(files, &out, seconds)?;
    println!("{}: {} networks of {} operators", out.display(), built.prefixes, built.operators);
    Ok(())
}
