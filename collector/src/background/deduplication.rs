//! The job that checks that ClickHouse deduplicates repeated batches: "exactly once" depends on it.

use std::{sync::Arc, time::Duration};

use sotto_store::deduplication;
use tokio_util::sync::CancellationToken;

use super::wait;
use crate::{metrics::Metrics, state::State};

/// Interval of the check.
const CHECK_INTERVAL: Duration = Duration::from_secs(30);

/// Checks as soon as ClickHouse is reachable, then periodically.
pub(super) async fn keep_checking(state: Arc<State>, stop: CancellationToken) {
    while !stop.is_cancelled() {
        tokio::select! {
            () = stop.cancelled() => return,
            found = deduplication::flaws(&state.databases.writer) => note_flaws(&state.metrics, found),
        }
        wait(&stop, CHECK_INTERVAL).await;
    }
}

fn note_flaws(metrics: &Metrics, found: Result<Vec<String>, clickhouse::error::Error>) {
    match found {
        Ok(flaws) => {
            let known = metrics.deduplication_flaws.swap(Some(Arc::new(flaws.clone())));
            for flaw in flaws.iter().filter(|flaw| known.as_deref().is_none_or(|k| !k.contains(flaw))) {
                tracing::error!(flaw, "a batch that is shipped again may be counted twice");
            }
        }
        Err(error) => {
            tracing::debug!(%error, "ClickHouse cannot be asked whether it ignores repeated batches");
        }
    }
}
