//! The job that reloads site rules and active tokens.

use std::{
    sync::{Arc, atomic::Ordering},
    time::{Duration, Instant},
};

use sotto_store::{account, sites};
use tokio_util::sync::CancellationToken;

use super::{upkeep::end_imports, wait};
use crate::{config::sites::lookups::READS_PER_SECOND_MAX, state::State};

/// Poll interval when no change has been signalled.
const RULES_INTERVAL: Duration = Duration::from_secs(10);
/// Minimum interval between the beginnings of two reloads.
const RULES_PAUSE: Duration = Duration::from_millis(1000 / READS_PER_SECOND_MAX as u64);

pub(super) async fn keep_reading(state: Arc<State>, stop: CancellationToken) {
    while !stop.is_cancelled() {
        let began = Instant::now();
        read(&state).await;
        tokio::select! {
            () = stop.cancelled() => {}
            () = tokio::time::sleep(RULES_INTERVAL) => {}
            () = state.rules_changed.notified() => wait(&stop, RULES_PAUSE.saturating_sub(began.elapsed())).await,
        }
    }
}

/// Reloads the rules of all sites, and the tokens.
pub async fn read(state: &State) {
    let db = &state.databases.writer;
    state.metrics.sites_read.fetch_add(1, Ordering::Relaxed);
    let reading = state.lookups.begin();
    let are_sites_read = match sites::all(db).await {
        Ok(sites) => {
            if let Err(error) = state.rules.replace(sites) {
                tracing::warn!(%error, "the copy of the sites cannot be written");
            }
            true
        }
        Err(error) => {
            tracing::warn!(%error, "sites cannot be read; continuing with those already known");
            false
        }
    };
    match account::credentials(db).await {
        Ok(tokens) => {
            state.tokens.replace(tokens);
            end_imports(state.imports.end_without_token(|token| state.tokens.is_in_force(token)));
            // Who waits may bring a token that was made with its site: both have to be in force.
            if are_sites_read {
                reading.succeeded();
            }
        }
        Err(error) => tracing::warn!(%error, "tokens cannot be read; continuing with those already known"),
    }
}
