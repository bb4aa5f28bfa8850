//! The job that maintains memory and files: expires salts and objections with their day, drops ended visits,
//! removes shipped hits from the spool's files and picks up newer GeoIP files.

use std::{sync::Arc, time::Duration};

use sotto_schema::{day::Day, id::SiteId};
use tokio_util::sync::CancellationToken;

use super::wait;
use crate::{
    state::State,
    visitor::salts::{self, Term},
};

/// Interval for maintaining salts, sessions and GeoIP files, and for removing shipped hits from the spool's files: they must
/// not outlive an erasure in ClickHouse.
const UPKEEP_INTERVAL: Duration = Duration::from_secs(15);

pub(super) async fn keep_up(state: Arc<State>, stop: CancellationToken) {
    while !stop.is_cancelled() {
        let now_ms = state.clock.now_ms();
        if let Err(error) = state.spools.forget_shipped().await {
            tracing::warn!(%error, "shipped hits cannot be removed from the spool, trying again");
        }
        retire_salts(&state, now_ms);
        end_imports(state.imports.end_idle(now_ms));
        state.sessions.sweep(now_ms);
        let geo = state.geo.clone();
        if let Err(error) = tokio::task::spawn_blocking(move || geo.reload_if_changed()).await {
            tracing::error!(%error, "GeoIP files cannot be checked for changes");
        }
        wait(&stop, UPKEEP_INTERVAL).await;
    }
}

/// Says how many salts were destroyed with imports that ended.
pub(super) fn end_imports(salts: usize) {
    if salts > 0 {
        tracing::debug!(salts, "an import ended");
    }
}

/// Destroys the salts and objections of closed days and of deleted sites, and tells who holds the others when they die.
pub fn retire_salts(state: &State, now_ms: i64) {
    let dead = |site: SiteId, day: Day| {
        state.rules.by_id(site).is_none_or(|rules| salts::is_over(rules.day_end_ms(day), now_ms))
    };
    if let Err(error) = state.objections.retire(dead) {
        tracing::error!(%error, "objections of days that are over cannot be removed; trying again");
    }
    match state.salts.retire(dead) {
        Ok(0) => {}
        Ok(count) => tracing::debug!(count, "salts destroyed"),
        Err(error) => tracing::error!(%error, "salts cannot be destroyed; trying again"),
    }
    state
        .salts
        .date(|site, day| state.rules.by_id(site).map(|rules| Term::of_day(rules.day_end_ms(day), now_ms)));
}
