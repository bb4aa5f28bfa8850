//! `sotto privacy`: texts made from the data map, and the rights of visitors.

use std::fmt::Write as _;

use clap::Subcommand;
use sotto_collector::config::Config;
use sotto_schema::{
    account::audit::{self, Action},
    datamap::{self, Entry},
    db::Databases,
};

use super::{Failure, Places, data, site::find, with_databases};

/// What to do about privacy.
#[derive(Debug, Subcommand)]
pub enum PrivacyCommand {
    /// The records of processing (GDPR Art. 30), from the data map
    Records {
        /// Answer in JSON
        #[arg(long)]
        json: bool,
    },
    /// Paragraphs for a privacy notice (GDPR Art. 13), from the data map
    Notice,
    /// All raw events under a visitor key, as JSON lines
    Export {
        /// Key, name or host name of the site
        site: String,
        /// The visitor key
        #[arg(long)]
        visitor: u64,
    },
    /// Erase all raw events under a visitor key, and wait until they are gone
    Erase {
        /// Key, name or host name of the site
        site: String,
        /// The visitor key
        #[arg(long)]
        visitor: u64,
    },
}

/// Runs the command.
pub async fn run(command: PrivacyCommand, config: &Config, places: &Places) -> Result<(), Failure> {
    match command {
        PrivacyCommand::Records { json: true } => {
            println!("{}", serde_json::to_string_pretty(datamap::entries())?)
        }
        PrivacyCommand::Records { json: false } => print!("{}", records(datamap::entries())),
        PrivacyCommand::Notice => print!("{}", notice(datamap::entries())),
        PrivacyCommand::Export { site, visitor } => {
            with_databases(config, places, async |db| {
                let site = find(&db.reader, &site).await?;
                data::print_lines(&db, include_str!("privacy/export.sql"), site.id, visitor).await
            })
            .await?;
        }
        PrivacyCommand::Erase { site, visitor } => {
            with_databases(config, places, async |db| erase(&db, &site, visitor).await).await?;
        }
    }
    Ok(())
}

async fn erase(databases: &Databases, site: &str, visitor: u64) -> Result<(), Failure> {
    if visitor == 0 {
        return Err(Failure::usage(
            "0 stands for \"no visitor\": those events belong to nobody who could be told apart",
        ));
    }
    let db = &databases.writer;
    let site = find(db, site).await?;
    let events = &db.of_site(site.id);
    let count = async || {
        events
            .query(include_str!("privacy/count.sql"))
            .param("site", site.id)
            .param("visitor", visitor)
            .fetch_one::<u64>()
            .await
    };
    let before = count().await?;
    events
        .query(include_str!("privacy/erase.sql"))
        .param("site", site.id)
        .param("visitor", visitor)
        .with_setting("mutations_sync", "2")
        .execute()
        .await?;
    let after = count().await?;
    audit::append(db, 0, Action::Erase, site.id, &format!("{before} events on request")).await?;
    println!("{} events erased, {after} left", before - after);
    Ok(())
}

fn records(entries: &[Entry]) -> String {
    let mut out = String::from(
        "# Records of processing: website analytics\n\n\
         Made from the data map of this version. Nothing else is stored about a visit.\n\n\
         | field | category | purpose | how it is made less telling | kept |\n|---|---|---|---|---|\n",
    );
    for e in entries {
        // Writing to a string cannot fail.
        let _written = writeln!(
            out,
            "| {} | {} | {} | {} | raw retention of the site |",
            e.name, e.category, e.purpose, e.generalisation
        );
    }
    out
}

fn notice(entries: &[Entry]) -> String {
    let mut out = String::from(
        "We measure how our pages are used with Sotto, which runs on our own systems. \
         It sets no cookie by itself. Your network address and your browser's user agent are used for a moment to \
         find your country and class of device and to count you once a day; they are not stored.\n",
    );
    for (category, heading) in [
        ("essential", "Always kept, without anything that could tell you from others:"),
        ("analytics", "Kept for audience measurement:"),
        ("preference", "Kept about your preferences:"),
        ("marketing", "Kept about the campaign that brought you here:"),
    ] {
        let _written = write!(out, "\n{heading}\n");
        for e in entries.iter().filter(|e| e.category == category) {
            let _written = writeln!(out, "- {} ({})", e.purpose.trim_end_matches('.'), e.generalisation);
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn texts_name_every_field_of_the_data_map() {
        let (records, notice) = (records(datamap::entries()), notice(datamap::entries()));
        for e in datamap::entries() {
            assert!(records.contains(&format!("| {} |", e.name)), "{}", e.name);
            assert!(notice.contains(e.purpose.trim_end_matches('.')), "{}", e.name);
        }
    }
}
