//! The job that settles days that are over, so that reports on them are quick.

use std::{
    collections::{HashMap, HashSet},
    error::Error,
    sync::Arc,
};

use jiff::civil::Date;
use sotto_schema::{day::Day, id::SiteId};
use sotto_store::{
    migrate::lock::Lock,
    settled::{self, Fingerprint},
};
use tokio_util::sync::CancellationToken;

use super::wait;
use crate::{config::sites::rules::Rules, state::State};

/// Time after the end of a day in which its last hits arrive, in milliseconds.
const ARRIVAL_MS: i64 = 2 * 60 * 1000;
/// Name of the lock of which collectors settle: one at a time.
const LOCK: &str = "settling_lock";
/// Turns after which what nobody reads is looked for, also where nothing was settled.
const SWEEP_TURNS: u32 = 60;

/// Unsettled days, as they were at the last turn.
type Seen = HashMap<(SiteId, Date), Fingerprint>;

pub(super) async fn keep_settling(state: Arc<State>, stop: CancellationToken) {
    let mut seen = Seen::new();
    let mut turn = 0;
    loop {
        wait(&stop, state.config.reports.settle_interval.unsigned_abs()).await;
        turn = (turn + 1) % SWEEP_TURNS;
        // A settling that is interrupted is begun again by the next run.
        let done = tokio::select! {
            biased;
            () = stop.cancelled() => return,
            done = settle_days(&state, &mut seen, turn == 0) => done,
        };
        if let Err(error) = done {
            tracing::warn!(error = &*error as &dyn Error, "days are not settled, trying again");
        }
    }
}

/// Settles the days of all sites that are over and have not changed since the last turn.
async fn settle_days(
    state: &State,
    seen: &mut Seen,
    sweep: bool,
) -> Result<(), Box<dyn Error + Send + Sync>> {
    let db = &state.databases.writer;
    let mut now = Seen::new();
    let mut due = Vec::new();
    for rules in state.rules.all() {
        let Some(last) = last_over(state, &rules) else { continue };
        let site = &rules.site;
        let days = settled::days(db, site.id, &site.time_zone, [Day(0).date(), last]).await?;
        for (day, print) in days.raw.into_iter().rev() {
            // One that changes is read from raw events until its late hits are there.
            if seen.get(&(site.id, day)).is_none_or(|before| *before == print) {
                due.push((rules.clone(), day, print));
            }
            now.insert((site.id, day), print);
        }
    }
    *seen = now;
    if due.is_empty() && !sweep {
        return Ok(());
    }
    let Some(lock) = Lock::try_take(db, LOCK).await? else { return Ok(()) };
    let touched: HashSet<SiteId> = due.iter().map(|(rules, ..)| rules.site.id).collect();
    for (rules, day, print) in due {
        lock.check().await?;
        if settled::settle(db, rules.site.id, &rules.site.time_zone, day, print).await? {
            tracing::debug!(site = rules.site.name, %day, rows = print.rows, "settled");
        }
    }
    // Looking for what nobody reads costs each site four queries.
    let swept = state.rules.all().into_iter().filter(|rules| sweep || touched.contains(&rules.site.id));
    for rules in swept {
        settled::sweep(db, rules.site.id, &rules.site.time_zone).await?;
    }
    settled::merge(db).await?;
    lock.release().await?;
    Ok(())
}

/// The last day of a site that is over and whose last hits have had time to arrive.
fn last_over(state: &State, rules: &Rules) -> Option<Date> {
    let today = rules.day(state.clock.now_ms() - ARRIVAL_MS);
    today.before().map(Day::date)
}
