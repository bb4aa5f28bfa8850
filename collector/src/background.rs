//! What happens beside the hits: rules are read again, salts die, counts are stored, visits are forgotten, days that
//! are over are sealed, and what is due is removed.
//!
//! **Promises.** A job that fails says so and is tried again at its next turn; it never takes the others down.

use std::{sync::Arc, time::Duration};

use tokio_util::sync::CancellationToken;

use crate::state::State;

mod ageing;
mod deduplication;
pub mod rules;
mod sealing;
pub mod storing;
pub mod upkeep;

/// How long ClickHouse may take, at the end, until what is left is stored.
const LAST_STORE_TIMEOUT: Duration = Duration::from_secs(3);

/// Runs all jobs until `stop`, then stores what is left, within a bound.
pub async fn run(state: Arc<State>, stop: CancellationToken) {
    let jobs = async {
        tokio::join!(
            rules::keep_reading(&state, &stop),
            upkeep::keep_up(&state, &stop),
            storing::keep_storing(&state, &stop),
            deduplication::keep_checking(&state, &stop),
            sealing::keep_sealing(&state, &stop),
            ageing::keep_ageing(&state, &stop)
        );
    };
    let overdue = async {
        stop.cancelled().await;
        tokio::time::sleep(LAST_STORE_TIMEOUT).await;
    };
    tokio::select! {
        () = jobs => {}
        () = overdue => tracing::warn!("ClickHouse does not answer; the last counts are not stored"),
    }
}

/// Waits for `pause`, or until `stop`.
async fn wait(stop: &CancellationToken, pause: Duration) {
    tokio::select! {
        () = stop.cancelled() => {}
        () = tokio::time::sleep(pause) => {}
    }
}
