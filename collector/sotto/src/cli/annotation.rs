//! `sotto annotation`

use clap::Subcommand;
use sotto_schema::id::{AnnotationId, UserId};
use sotto_store::{
    annotation::{self, AnnotationError, Moment},
    audit::{self, Action},
    db::Databases,
};

use super::{
    output::{Listing, say, time},
    site::find,
};
use crate::failure::{Exit, Failure};

/// What to do with annotations.
#[derive(Debug, Subcommand)]
pub enum AnnotationCommand {
    /// Write something at a day of a site's charts
    Add {
        /// Key, name or host name of the site
        site: String,
        /// What it says
        text: String,
        /// When, by the clocks of the site: a day like 2026-11-27, or with a time like "2026-11-27 13:05"; default: now
        #[arg(long)]
        at: Option<String>,
    },
    /// List the annotations of a site
    List {
        /// Key, name or host name of the site
        site: String,
        /// Print JSON
        #[arg(long)]
        json: bool,
    },
    /// Remove an annotation
    Remove {
        /// Key, name or host name of the site
        site: String,
        /// Its number in the list
        id: u64,
    },
}

fn of_annotation(error: AnnotationError) -> Failure {
    let exit = if error.is_of_reader() { Exit::Usage } else { Exit::Failed };
    Failure::new(error).ending(exit)
}

/// Runs `sotto annotation`.
pub async fn run(command: AnnotationCommand, databases: &Databases) -> Result<(), Failure> {
    let db = &databases.writer;
    match command {
        AnnotationCommand::Add { site, text, at } => {
            let site = find(db, &site).await?;
            let at = match at {
                Some(at) => Moment::parse(&at).map_err(of_annotation)?,
                None => {
                    let zone = jiff::tz::TimeZone::get(&site.time_zone)?;
                    let now = sotto_schema::clock::now().to_zoned(zone);
                    Moment { day: now.date(), time: Some(now.time()) }
                }
            };
            let added = annotation::add(db, site.id, at, &text).await.map_err(of_annotation)?;
            let what = format!("annotation {}: {}", added.id, added.text);
            audit::append(db, UserId::NONE, Action::AnnotationAdd, site.id, &what).await?;
            say!("annotation {} added to {} at {}", added.id, site.name, added.at)?;
        }
        AnnotationCommand::List { site, json } => {
            let site = find(db, &site).await?;
            let mut listing = Listing::new(&["id", "at", "text", "created"]);
            for annotation in annotation::all(db, site.id).await? {
                listing.row(vec![
                    annotation.id.to_string().into(),
                    annotation.at.to_string().into(),
                    annotation.text.into(),
                    time(annotation.created_ms),
                ]);
            }
            listing.print(json)?;
        }
        AnnotationCommand::Remove { site, id } => {
            let site = find(db, &site).await?;
            if !annotation::remove(db, site.id, AnnotationId(id)).await.map_err(of_annotation)? {
                return Err(Failure::missing(format!(
                    "no annotation has the number {id}; `sotto annotation list` shows them"
                )));
            }
            let what = format!("annotation {id}");
            audit::append(db, UserId::NONE, Action::AnnotationRemove, site.id, &what).await?;
            say!("annotation {id} removed")?;
        }
    }
    Ok(())
}
