//! `sotto salts`

use clap::Subcommand;
use sotto_store::{db::Databases, ledger, sites};

use super::output::{Listing, say, time};
use crate::failure::{Exit, Failure};

/// What to do with the ledger of salts.
#[derive(Debug, Subcommand)]
pub enum SaltsCommand {
    /// When each salt was made and destroyed, from the hash-chained ledger
    Ledger {
        /// Verify the chain; exits with an error if a line was changed, removed or inserted
        #[arg(long)]
        verify: bool,
        /// Print JSON
        #[arg(long)]
        json: bool,
    },
}

/// Runs the command.
pub async fn run(command: SaltsCommand, databases: &Databases) -> Result<(), Failure> {
    let SaltsCommand::Ledger { verify, json } = command;
    let lines = ledger::all(&databases.reader).await?;
    if verify {
        let alive = ledger::verify(&lines).map_err(|e| Failure::new(e).ending(Exit::Found))?;
        if json {
            say!("{}", serde_json::json!({ "lines": lines.len(), "alive": alive, "intact": true }))?;
        } else {
            say!("{} lines, chain intact, {alive} salts alive", lines.len())?;
        }
        return Ok(());
    }
    let sites = sites::all(&databases.reader).await?;
    let mut listing =
        Listing::new(&["collector", "seq", "time", "event", "site", "day", "commitment", "hash"]);
    for line in &lines {
        let site = sites.iter().find(|s| s.id == line.site).map_or("(removed)", |s| s.name.as_str());
        let day = jiff::civil::date(1970, 1, 1).checked_add(jiff::Span::new().days(i64::from(line.day)))?;
        listing.row(vec![
            line.collector.as_str().into(),
            line.seq.into(),
            time(line.time),
            if line.event == ledger::BORN { "born" } else { "died" }.into(),
            site.into(),
            day.to_string().into(),
            const_hex::encode(line.commitment).into(),
            const_hex::encode(line.hash).into(),
        ]);
    }
    listing.print(json)?;
    Ok(())
}
