//! The job that deletes data past its retention.

use std::{sync::Arc, time::Duration};

use sotto_schema::id::{SiteId, UserId};
use sotto_store::{
    audit::{self, Action},
    backup, retention,
};
use tokio_util::sync::CancellationToken;

use super::wait;
use crate::state::State;

/// Interval between retention runs: sites' days end at different hours.
const AGEING_INTERVAL: Duration = Duration::from_secs(60 * 60);
/// Retry delay after a failure.
const AGEING_RETRY: Duration = Duration::from_secs(5 * 60);

pub(super) async fn keep_ageing(state: Arc<State>, stop: CancellationToken) {
    while !stop.is_cancelled() {
        let pause = if age(&state).await { AGEING_INTERVAL } else { AGEING_RETRY };
        wait(&stop, pause).await;
    }
}

/// Deletes expired data; returns whether it succeeded.
async fn age(state: &State) -> bool {
    let (db, now_ms) = (&state.databases.writer, state.clock.now_ms());
    match retention::run(db, now_ms, false).await {
        Ok(removed) => removed.iter().for_each(|r| tracing::info!(site = %r.site, "{}", r.detail())),
        Err(error) => {
            tracing::warn!(
                error = &error as &dyn std::error::Error,
                "what is due is not removed, trying again"
            );
            return false;
        }
    }
    let removed = match backup::expire(&state.backups(), now_ms, false) {
        Ok(removed) => removed,
        Err(error) => {
            tracing::warn!(%error, "expired backups cannot be deleted; trying again");
            return false;
        }
    };
    for entry in removed {
        tracing::info!("{}", entry.detail());
        if let Err(error) =
            audit::append(db, UserId::NONE, Action::Retention, SiteId::NONE, &entry.detail()).await
        {
            tracing::warn!(%error, "a deleted backup is not in the audit log");
        }
    }
    true
}
