//! The job that releases days and months that are over into the archive.

use std::sync::{Arc, atomic::Ordering};

use jiff::civil;
use sotto_schema::day::Day;
use tokio_util::sync::CancellationToken;

use super::wait;
use crate::{
    archive::{ArchiveError, Done, Sealer},
    config::sites::rules::Rules,
    state::State,
    visitor::salts::GRACE_MS,
};

/// Grace for hits still on their way into ClickHouse before their day is sealed without them, in
/// milliseconds.
const ARRIVAL_MS: i64 = 15 * 60 * 1000;

pub(super) async fn keep_sealing(state: Arc<State>, stop: CancellationToken) {
    loop {
        wait(&stop, state.config.archive.interval.unsigned_abs()).await;
        // An interrupted seal is restarted by the next run.
        tokio::select! {
            biased;
            () = stop.cancelled() => return,
            () = seal_days(&state) => {}
        }
    }
}

/// Seals all sites' closed days and months.
async fn seal_days(state: &State) {
    let mut sealer = Sealer::new(state.databases.writer.clone());
    for rules in state.rules.all() {
        // Hits still waiting to be shipped would arrive after the seal.
        if state.metrics.ship_behind.load(Ordering::Relaxed) > 0 {
            return;
        }
        let Some(last) = last_closed(state, &rules) else { continue };
        let note = |done: Done| tracing::info!(site = rules.site.name, day = %done.day, values = done.values, "released");
        match sealer.seal_site(&rules.site, last, note).await {
            Ok(()) => {}
            // Another collector does it.
            Err(ArchiveError::Busy) => return,
            Err(error) => {
                tracing::warn!(error = &error as &dyn std::error::Error, "not released, trying again");
            }
        }
    }
}

/// The last day of a site whose salt is destroyed and whose last hits have had time to arrive.
fn last_closed(state: &State, rules: &Rules) -> Option<civil::Date> {
    let today = rules.day(state.clock.now_ms() - GRACE_MS - ARRIVAL_MS);
    let last = Day(today.0.checked_sub(1)?);
    state.salts.get(rules.site.id, last).is_none().then(|| last.date())
}
