//! Background jobs, independent of hits: reload site rules, destroy expired salts, store counts, expire
//! visits, settle and seal days that are over, and delete data past its retention.
//!
//! **Promises.** A job that fails logs it and retries at its next turn. No failure, not even a panic, takes
//! another job down ([`crate::supervise`]). Jobs know the [`State`] and nothing of requests: a hit never waits for one.

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
mod settling;
pub mod storing;
pub mod upkeep;

/// Upper bound on ClickHouse's last store at shutdown.
pub const LAST_STORE_TIMEOUT: Duration = Duration::from_secs(3);

/// Starts all jobs, each supervised separately. On stop, they store what is left.
pub fn start(state: &Arc<State>, supervisor: &Supervisor) {
    let stop = supervisor.stopping();
    supervisor.keep(Part::Rules, job(state, stop, rules::keep_reading));
    supervisor.keep(Part::Upkeep, job(state, stop, upkeep::keep_up));
    supervisor.keep(Part::Storing, job(state, stop, storing::keep_storing));
    supervisor.keep(Part::Deduplication, job(state, stop, deduplication::keep_checking));
    supervisor.keep(Part::Sealing, job(state, stop, sealing::keep_sealing));
    supervisor.keep(Part::Settling, job(state, stop, settling::keep_settling));
    supervisor.keep(Part::Ageing, job(state, stop, ageing::keep_ageing));
}

/// Calls `make` for each (re)start of a job.
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
