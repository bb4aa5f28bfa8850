//! What happens beside the hits: rules are read again, salts die, counts are stored, visits are forgotten, days that
//! are over are sealed, and what is due is removed.
//!
//! **Promises.** A job that fails says so and is tried again at its next turn; it never takes the others down, not even when it panics
//! ([`crate::supervise`]).

use std::{sync::Arc, time::Duration};

use tokio_util::sync::CancellationToken;

use crate::{
    state::State,
    supervise::{Part, Supervisor},
};

mod ageing;
mod deduplication;
pub mod recovery;
pub mod rules;
mod sealing;
pub mod storing;
pub mod upkeep;

/// How long ClickHouse may take, at the end, until what is left is stored.
pub const LAST_STORE_TIMEOUT: Duration = Duration::from_secs(3);

/// Starts all jobs, each watched by itself. After a stop they store what is left.
pub fn start(state: &Arc<State>, supervisor: &Supervisor) {
    let stop = supervisor.stopping();
    supervisor.keep(Part::Rules, job(state, stop, rules::keep_reading));
    supervisor.keep(Part::Upkeep, job(state, stop, upkeep::keep_up));
    supervisor.keep(Part::Storing, job(state, stop, storing::keep_storing));
    supervisor.keep(Part::Deduplication, job(state, stop, deduplication::keep_checking));
    supervisor.keep(Part::Sealing, job(state, stop, sealing::keep_sealing));
    supervisor.keep(Part::Ageing, job(state, stop, ageing::keep_ageing));
}

/// What makes a job, as often as it has to be started.
fn job<F>(
    state: &Arc<State>,
    stop: &CancellationToken,
    run: fn(Arc<State>, CancellationToken) -> F,
) -> impl FnMut() -> F + Send + use<F> {
    let (state, stop) = (state.clone(), stop.clone());
    move || run(state.clone(), stop.clone())
}

/// Waits for `pause`, or until `stop`.
async fn wait(stop: &CancellationToken, pause: Duration) {
    tokio::select! {
        () = stop.cancelled() => {}
        () = tokio::time::sleep(pause) => {}
    }
}
