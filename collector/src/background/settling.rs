//! The job that settles days that are over, so that reports on them are quick.

use std::{collections::HashMap, error::Error, sync::Arc};

use jiff::civil::Date;
use sotto_schema::{day::Day, id::SiteId};
use sotto_store::{
    migrate::lock::Lock,
    settled::{self, Fingerprint},
};
use tokio_util::sync::CancellationToken;

use super::wait;
use crate::state::State;

/// Time after the end of a day in which its last hits arrive, in milliseconds.
const ARRIVAL_MS: i64 = 2 * 60 * 1000;
/// Name of the lock of which collectors settle: one at a time.
const LOCK: &str = "settling_lock";
/// Turns after which what nobody reads is looked for, also where nothing was settled.
const SWEEP_TURNS: u32 = 60;

/// Raw events of a day that came since the hour up to which it is settled, beyond which it is settled up to a later
/// one: fewer are counted as quickly by each report.
const SINCE_ROWS: u64 = 20_000;
const HOUR_MS: i64 = 60 * 60 * 1000;

/// Unsettled days, as they were at the last turn; with the hour up to which they were to be settled.
type Seen = HashMap<(SiteId, Date, u32), Fingerprint>;

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

/// Settles the days of all sites that are over, and of those that are not what is, if they have not changed since the
/// last turn.
async fn settle_days(
    state: &State,
    seen: &mut Seen,
    sweep: bool,
) -> Result<(), Box<dyn Error + Send + Sync>> {
    let db = &state.databases.writer;
    let sites = state.rules.all();
    let zones: HashMap<SiteId, String> =
        sites.iter().map(|rules| (rules.site.id, rules.site.time_zone.clone())).collect();
    let arrived_ms = state.clock.now_ms() - ARRIVAL_MS;
    let Some(to) = sites.iter().map(|rules| rules.day(state.clock.now_ms()).date()).max() else {
        return Ok(());
    };
    let mut all = settled::days_of_all(db, &zones, to).await?;
    let mut now = Seen::new();
    let (mut due, mut months) = (Vec::new(), Vec::new());
    for rules in sites {
        let site = &rules.site;
        let Some(days) = all.remove(&site.id) else { continue };
        if let Some(last) = rules.day(arrived_ms).before() {
            months.extend(days.months_due(last.date()).into_iter().map(|month| (rules.clone(), month)));
        }
        for (day, print) in days.raw.iter().rev() {
            let (until, print) = if Day::of(*day) < rules.day(arrived_ms) {
                (settled::WHOLE, *print)
            } else {
                // Of a day that is not over, what the last full hour leaves, if that is much. Anonymous hits still come
                // with the time at which the site's hour began, which may be in the middle of one of UTC.
                let until = u32::try_from(rules.hour_start_ms(arrived_ms) / HOUR_MS * HOUR_MS / 1000)?;
                let open = days.open.get(day);
                let since = print.rows - open.map_or(0, |open| open.rows);
                if since < SINCE_ROWS || open.is_some_and(|open| open.until >= until) {
                    continue;
                }
                (until, settled::print_before(db, site.id, *day, until).await?)
            };
            if print.rows == 0 {
                continue;
            }
            // One that changes is read from raw events until its late hits are there.
            if seen.get(&(site.id, *day, until)).is_none_or(|before| *before == print) {
                due.push((rules.clone(), *day, until, print));
            }
            now.insert((site.id, *day, until), print);
        }
    }
    *seen = now;
    if due.is_empty() && months.is_empty() && !sweep {
        return Ok(());
    }
    let Some(lock) = Lock::try_take(db, LOCK).await? else { return Ok(()) };
    // What a day was settled up to before is removed when it is over.
    let over = due.iter().any(|(_, _, until, _)| *until == settled::WHOLE);
    for (rules, day, until, print) in due {
        lock.check().await?;
        if settled::settle_before(db, rules.site.id, &rules.site.time_zone, day, until, print).await? {
            tracing::debug!(site = rules.site.name, %day, until, rows = print.rows, "settled");
        }
    }
    for (rules, month) in months {
        lock.check().await?;
        let (site, time_zone) = (rules.site.id, &rules.site.time_zone);
        let days = settled::days(db, site, time_zone, [month, month.last_of_month()]).await?;
        settled::settle_month(db, site, time_zone, month, &days).await?;
    }
    if sweep || over {
        settled::sweep(db, &zones).await?;
    }
    settled::merge(db).await?;
    lock.release().await?;
    Ok(())
}
