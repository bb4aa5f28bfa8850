//! The jobs that send something in rounds, where there is a dashboard: mail, if there is a mail server, and webhooks.
//!
//! A round sends what is due; one that fails is followed by another after a growing pause. On a stop, what is being sent has
//! a moment to get through.

use std::{
    pin::Pin,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
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
/// How long what is being sent may take after a stop; less than jobs have to end.
const GRACE: Duration = Duration::from_secs(2);

/// What a round came to.
#[derive(Debug, Clone, Copy)]
pub struct Sent {
    /// What was accepted.
    pub sent: u64,
    /// What was not sent.
    pub failed: u64,
}

/// Whether to go on with the next.
pub type GoOn = Arc<dyn Fn() -> bool + Send + Sync>;
/// A round; why it failed is told without addresses.
pub type Round = Pin<Box<dyn Future<Output = Result<Sent, String>> + Send>>;
/// Sends what is due at a moment, in milliseconds since 1970-01-01 UTC.
pub type SendDue = Arc<dyn Fn(i64, GoOn) -> Round + Send + Sync>;
/// Makes what sends, as the configuration says; only main knows how.
pub type MakeRounds<'a> = &'a dyn Fn(&Config, &Databases) -> Result<Vec<Sender>, Failure>;

/// What is sent in rounds.
#[derive(Clone)]
pub struct Sender {
    /// What it is to the supervisor; its name is in the log.
    pub part: Part,
    /// Sends what is due.
    pub send: SendDue,
}

/// Where it is counted.
struct Counters<'a> {
    sent: &'a AtomicU64,
    failed: &'a AtomicU64,
    rounds_failed: &'a AtomicU64,
}

impl Sender {
    fn counters<'a>(&self, metrics: &'a Metrics) -> Counters<'a> {
        if self.part == Part::Webhooks {
            return Counters {
                sent: &metrics.webhooks_sent,
                failed: &metrics.webhooks_failed,
                rounds_failed: &metrics.webhook_rounds_failed,
            };
        }
        Counters {
            sent: &metrics.mails_sent,
            failed: &metrics.mails_failed,
            rounds_failed: &metrics.mail_rounds_failed,
        }
    }
}

/// Sends from now on.
pub fn start(senders: Vec<Sender>, metrics: &Arc<Metrics>, supervisor: &Supervisor) {
    for sender in senders {
        let (metrics, stop) = (metrics.clone(), supervisor.stopping().clone());
        supervisor.keep(sender.part, move || keep_sending(sender.clone(), metrics.clone(), stop.clone()));
    }
}

async fn keep_sending(sender: Sender, metrics: Arc<Metrics>, stop: CancellationToken) {
    let mut pause = INTERVAL;
    let (what, counters) = (sender.part.name(), sender.counters(&metrics));
    loop {
        tokio::select! {
            () = stop.cancelled() => return,
            () = tokio::time::sleep(pause) => {}
        }
        let stopped = stop.clone();
        let round = (sender.send)(now_ms(), Arc::new(move || !stopped.is_cancelled()));
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
                counters.sent.fetch_add(sent, Ordering::Relaxed);
                counters.failed.fetch_add(failed, Ordering::Relaxed);
                if sent > 0 {
                    tracing::info!(sent, "{what} sent");
                }
                pause = INTERVAL;
            }
            Err(error) => {
                counters.rounds_failed.fetch_add(1, Ordering::Relaxed);
                pause = (pause * 2).min(PAUSE_MAX);
                tracing::warn!(error, pause_s = pause.as_secs(), "no {what} can be sent, trying again");
            }
        }
    }
}
