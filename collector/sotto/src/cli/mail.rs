//! `sotto mail`

use std::sync::Arc;

use clap::Subcommand;
use jiff::Timestamp;
use serde_json::json;
use sotto_schema::clock::now;

use super::output::say;
use crate::{
    failure::Failure,
    serve::rounds::{SendDue, Sent},
};

/// What to do about mail.
#[derive(Debug, Subcommand)]
pub enum MailCommand {
    /// Send the reports and alerts that are due; a running sotto does it by itself
    Run {
        /// As if it were that moment, like 2026-11-30T08:00:00Z; default: now
        #[arg(long, value_name = "TIME")]
        now: Option<Timestamp>,
        /// Print JSON
        #[arg(long)]
        json: bool,
    },
}

/// Runs the command; `send` is none where no mail server is configured.
pub async fn run(command: MailCommand, send: Option<SendDue>) -> Result<(), Failure> {
    let MailCommand::Run { now: moment, json } = command;
    let send = send.ok_or_else(|| {
        Failure::usage("mail.server must be set in the configuration, like \"smtp.example.org\"")
    })?;
    let moment = moment.unwrap_or_else(now).as_millisecond();
    let Sent { sent, failed } = send(moment, Arc::new(|| true)).await.map_err(Failure::failed)?;
    if json {
        say!("{}", json!({ "sent": sent, "failed": failed }))?;
    } else {
        say!("{sent} sent, {failed} failed")?;
    }
    if failed > 0 { Err(Failure::failed("not everything was sent; the log says why")) } else { Ok(()) }
}
