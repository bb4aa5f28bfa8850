//! The job that sends mail, where there is a dashboard and a mail server.
//!
//! A round sends what is due; one that fails is followed by another after a growing pause. On a stop, the letter that is being
//! sent has a moment to get through; one that is cut is not sent again.

use std::{
    pin::Pin,
    sync::{Arc, atomic::Ordering},
    time::Duration,
};

use sotto_collector::{
    config::Config,
    metrics::Metrics,
    supervise::{Part, Supervisor},
};
use sotto_schema::clock::now_ms;
use sotto_store::db::Databases;
use tokio_util::sync::CancellationToken;

use crate::failure::Failure;

/// Interval between two rounds.
const INTERVAL: Duration = Duration::from_secs(30);
/// The longest pause after rounds that failed.
const PAUSE_MAX: Duration = Duration::from_secs(30 * 60);
/// How long a letter that is being sent may take after a stop; less than jobs have to end.
const GRACE: Duration = Duration::from_secs(2);

/// What a round came to.
#[derive(Debug, Clone, Copy)]
pub struct Sent {
    /// Letters that the mail server accepted.
    pub sent: u64,
    /// Letters that were not sent.
    pub failed: u64,
}

/// Whether to go on with the next letter.
pub type GoOn = Arc<dyn Fn() -> bool + Send + Sync>;
/// A round of letters; why it failed is told without addresses.
pub type Round = Pin<Box<dyn Future<Output = Result<Sent, String>> + Send>>;
/// Sends what is due at a moment, in milliseconds since 1970-01-01 UTC.
pub type SendDue = Arc<dyn Fn(i64, GoOn) -> Round + Send + Sync>;
/// Makes that, if a mail server is configured; only main knows how.
pub type MakeMail<'a> = &'a dyn Fn(&Config, Databases) -> Result<Option<SendDue>, Failure>;

/// Sends mail from now on.
pub fn start(send: SendDue, metrics: Arc<Metrics>, supervisor: &Supervisor) {
    let stop = supervisor.stopping().clone();
    supervisor.keep(Part::Mail, move || keep_sending(send.clone(), metrics.clone(), stop.clone()));
}

async fn keep_sending(send: SendDue, metrics: Arc<Metrics>, stop: CancellationToken) {
    let mut pause = INTERVAL;
    loop {
        tokio::select! {
            () = stop.cancelled() => return,
            () = tokio::time::sleep(pause) => {}
        }
        let stopped = stop.clone();
        let round = send(now_ms(), Arc::new(move || !stopped.is_cancelled()));
        let cut = async {
            stop.cancelled().await;
            tokio::time::sleep(GRACE).await;
        };
        let done = tokio::select! {
            done = round => done,
            () = cut => return,
        };
        match done {
            Ok(Sent { sent, failed }) => {
                metrics.mails_sent.fetch_add(sent, Ordering::Relaxed);
                metrics.mails_failed.fetch_add(failed, Ordering::Relaxed);
                if sent > 0 {
                    tracing::info!(letters = sent, "mail sent");
                }
                pause = INTERVAL;
            }
            Err(error) => {
                metrics.mail_rounds_failed.fetch_add(1, Ordering::Relaxed);
                pause = (pause * 2).min(PAUSE_MAX);
                tracing::warn!(error, pause_s = pause.as_secs(), "no mail can be sent, trying again");
            }
        }
    }
}
