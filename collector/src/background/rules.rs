//! The job that reloads site rules and active tokens.

use std::{sync::Arc, time::Duration};

use sotto_store::{account, sites};
use tokio_util::sync::CancellationToken;

use super::wait;
use crate::state::State;

/// Poll interval when no change has been signalled.
const RULES_INTERVAL: Duration = Duration::from_secs(10);
/// Minimum interval between two reloads.
const RULES_PAUSE: Duration = Duration::from_millis(250);

pub(super) async fn keep_reading(state: Arc<State>, stop: CancellationToken) {
    while !stop.is_cancelled() {
        read(&state).await;
        tokio::select! {
            () = stop.cancelled() => {}
            () = tokio::time::sleep(RULES_INTERVAL) => {}
            () = state.rules_changed.notified() => wait(&stop, RULES_PAUSE).await,
        }
    }
}

/// Reloads the rules of all sites, and the tokens.
pub async fn read(state: &State) {
    let db = &state.databases.writer;
    match sites::all(db).await {
        Ok(sites) => {
            if let Err(error) = state.rules.replace(sites) {
                tracing::warn!(%error, "the copy of the sites cannot be written");
            }
        }
        Err(error) => tracing::warn!(%error, "sites cannot be read; continuing with those already known"),
    }
    match account::credentials(db).await {
        Ok(tokens) => state.tokens.replace(tokens),
        Err(error) => tracing::warn!(%error, "tokens cannot be read; continuing with those already known"),
    }
}
