//! Who is told what, and when: rounds that send what is due.
//!
//! A message is noted before it is sent. One that was not accepted for now, or that was cut by the end of the program, is sent
//! again under the same id, after growing pauses and at most six times, as long as it is news: of goals until the next
//! morning, of an alert as long as `alert` tells it. A server may hear it twice, and knows it by its id.
//! Of several programs one sends at a time.

use std::collections::{BTreeMap, BTreeSet};

use futures_util::{FutureExt as _, StreamExt as _, future::BoxFuture, stream};
use jiff::{Timestamp, civil::Date, tz::TimeZone};
use sotto_schema::{clock, id::SiteId, site::Site};
use sotto_store::{
    account::AccountKey,
    db::Databases,
    goal::{self, Goal},
    hook::{self, Attempt, Deliveries, Hook, Kind, MessageId},
    migrate::lock::{Lock, LockError},
    sites,
    subscription::State,
};

use super::{
    address::Reach,
    carrier::{self, Answer, Message},
    message::{self, Told},
};
use crate::{
    filter::Filters,
    mail::{
        alert::{Alert, Watch},
        letter::reports_of,
        schedule,
        summary::SummaryError,
    },
    range::Range,
    report::{Counts, Detail, Query, Reports, Scope, Sources, goals::completed},
};

/// Name of the lock of who sends: one program at a time.
const LOCK: &str = "webhook_lock";
/// Messages that are under way at once, so that a slow server keeps few others waiting.
const AT_ONCE: usize = 8;

/// Why no webhook can be told anything.
#[derive(Debug, thiserror::Error)]
pub enum MessengerError {
    /// Who sends cannot be agreed on.
    #[error(transparent)]
    Lock(#[from] LockError),
    /// ClickHouse refused or cannot be reached.
    #[error("cannot reach the database")]
    Database(#[from] clickhouse::error::Error),
}

/// What a round of messages came to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Round {
    /// Messages that were accepted.
    pub sent: u64,
    /// Messages that were not, this time or for good, and those that could not be put together.
    pub failed: u64,
}

/// Sends what is due.
pub struct Messenger {
    databases: Databases,
    public_url: String,
    key: AccountKey,
    reach: Reach,
    alerts: Watch,
}

struct Due {
    id: MessageId,
    hook: Hook,
    site: Site,
    what: What,
}

enum What {
    Goals(Date),
    Alert(Alert),
}

/// The number of the next attempt to send a message, if there is to be one now. One that was begun may have been cut.
fn next_attempt(last: Option<&Attempt>, now_ms: i64) -> Option<u8> {
    let Some(last) = last else { return Some(1) };
    match last.state {
        State::Begun | State::Deferred => schedule::following(last.number, last.time_ms, now_ms),
        State::Refused | State::Sent => None,
    }
}

impl Messenger {
    /// A messenger whose messages lead to `public_url`.
    pub fn new(databases: Databases, public_url: String, key: AccountKey) -> Self {
        Self { databases, public_url, key, reach: Reach::of_build(), alerts: Watch::default() }
    }

    /// Sends what is due at a moment; between two messages it asks whether to go on.
    ///
    /// # Errors
    /// When the database is away; what is due stays due.
    pub async fn round(
        &self,
        now: Timestamp,
        go_on: &(dyn Fn() -> bool + Send + Sync),
    ) -> Result<Round, MessengerError> {
        let db = &self.databases.writer;
        let due = self.due(now).await?;
        if due.is_empty() {
            return Ok(Round::default());
        }
        // Another program does it.
        let Some(lock) = Lock::try_take(db, LOCK).await? else { return Ok(Round::default()) };
        let round = self.send_all(due, now, &lock, go_on).await;
        let released = lock.release().await;
        let round = round?;
        released?;
        Ok(round)
    }

    /// Says what a webhook answers to a message that says nothing. It is not noted and not sent again.
    pub async fn test(&self, hook: &Hook, site: &Site) -> Answer {
        let told = Told::Test;
        let url = self.about(site);
        let id = message::id_of_test(hook.id, clock::now_ms());
        self.carry(hook, id, message::body(hook.format, site, told, &url)).await
    }

    fn about(&self, site: &Site) -> String {
        [&self.public_url, "/s/", &site.key].concat()
    }

    async fn due(&self, now: Timestamp) -> Result<Vec<Due>, MessengerError> {
        let db = &self.databases.writer;
        let hooks = hook::all(db, SiteId::NONE).await?;
        if hooks.is_empty() {
            return Ok(Vec::new());
        }
        let sites: BTreeMap<SiteId, Site> =
            sites::all(db).await?.into_iter().map(|site| (site.id, site)).collect();
        let told = self.told_since(now).await?;
        let mut due = Vec::new();
        for hook in hooks {
            let Some(site) = sites.get(&hook.site) else { continue };
            for (kind, period, what) in self.subjects(&hook, site, now).await {
                let id = MessageId { site: hook.site, hook: hook.id, kind, period };
                if next_attempt(told.get(&id), now.as_millisecond()).is_some() {
                    due.push(Due { id, hook: hook.clone(), site: site.clone(), what });
                }
            }
        }
        Ok(due)
    }

    /// What a webhook may be told at a moment, with what it is filed under.
    async fn subjects(&self, hook: &Hook, site: &Site, now: Timestamp) -> Vec<(Kind, String, What)> {
        let now = now.to_zoned(TimeZone::get(&site.time_zone).unwrap_or(TimeZone::UTC));
        let mut subjects = Vec::new();
        for kind in &hook.kinds {
            match kind {
                Kind::Goals => {
                    let day = schedule::day_over(&now);
                    let day = day.filter(|day| day.is_due(hook.created_ms, now.timestamp().as_millisecond()));
                    subjects.extend(day.map(|day| (*kind, day.name(), What::Goals(day.range.from))));
                }
                Kind::Alerts => {
                    let alerts = self.alerts.look(&self.databases.reader, site, &now).await;
                    let new = alerts.into_iter().filter(|alert| alert.since_ms >= hook.created_ms);
                    subjects.extend(new.map(|alert| (*kind, alert.name.clone(), What::Alert(alert))));
                }
            }
        }
        subjects
    }

    /// The last attempts of all messages that may be due.
    async fn told_since(&self, now: Timestamp) -> Result<Deliveries, MessengerError> {
        let since = now.as_millisecond() - 2 * schedule::LATE_MS;
        Ok(hook::deliveries(&self.databases.writer, since).await?)
    }

    async fn send_all(
        &self,
        due: Vec<Due>,
        now: Timestamp,
        lock: &Lock,
        go_on: &(dyn Fn() -> bool + Send + Sync),
    ) -> Result<Round, MessengerError> {
        // Another program may have sent some before the lock was ours.
        let told = self.told_since(now).await?;
        let reached = self.reached(&due).await;
        let mut round = Round::default();
        let sending = due.into_iter().filter_map(|due| {
            let number = next_attempt(told.get(&due.id), now.as_millisecond())?;
            let goals = match &due.what {
                What::Goals(day) => match reached.get(&(due.site.id, *day)) {
                    // There is nothing to tell.
                    Some(goals) if goals.is_empty() => return None,
                    Some(goals) => Some(goals),
                    None => {
                        round.failed += 1;
                        return None;
                    }
                },
                What::Alert(_) => None,
            };
            Some((due, number, goals))
        });
        let sending = sending.map(|(due, number, goals)| {
            let attempt = async move {
                if !go_on() {
                    return Ok(None);
                }
                lock.check().await?;
                self.send(&due, goals, (number, now.as_millisecond())).await.map(Some)
            };
            attempt.boxed()
        });
        let sending: Vec<BoxFuture<'_, Result<Option<bool>, MessengerError>>> = sending.collect();
        let mut sent = stream::iter(sending).buffer_unordered(AT_ONCE);
        while let Some(accepted) = sent.next().await {
            match accepted? {
                Some(true) => round.sent += 1,
                Some(false) => round.failed += 1,
                None => {}
            }
        }
        Ok(round)
    }

    /// How often goals were reached on the days that are due. A day that cannot be read is missing.
    async fn reached(&self, due: &[Due]) -> BTreeMap<(SiteId, Date), Vec<(Goal, Counts)>> {
        let reports = Reports::new(self.databases.reader.clone());
        let mut days = BTreeSet::new();
        let mut reached = BTreeMap::new();
        for due in due {
            let What::Goals(day) = due.what else { continue };
            if !days.insert((due.site.id, day)) {
                continue;
            }
            match goals_of(&reports, &due.site, day).await {
                Ok(goals) => drop(reached.insert((due.site.id, day), goals)),
                Err(error) => {
                    let error = &error as &dyn std::error::Error;
                    tracing::warn!(error, site = due.site.key, "goals cannot be counted, trying again");
                }
            }
        }
        reached
    }

    /// Sends a message: whether it was accepted.
    async fn send(
        &self,
        due: &Due,
        goals: Option<&Vec<(Goal, Counts)>>,
        (number, time_ms): (u8, i64),
    ) -> Result<bool, MessengerError> {
        let db = &self.databases.writer;
        let begun = Attempt { number, state: State::Begun, code: 0, time_ms };
        hook::note(db, &due.id, &begun).await?;
        let about = self.about(&due.site);
        let (told, url) = match &due.what {
            What::Goals(day) => {
                let told = Told::Goals(*day, goals.map_or(&[], Vec::as_slice));
                (told, reports_of(&format!("{about}/goals"), Range::day(*day)))
            }
            What::Alert(alert) => {
                let page = [&about, alert.page].concat();
                (Told::Alert(alert), reports_of(&page, Range::day(alert.day)))
            }
        };
        let body = message::body(due.hook.format, &due.site, told, &url);
        let answer = self.carry(&due.hook, message::id(&due.id), body).await;
        let Answer { state, code, why } = answer;
        let done = Attempt { state, code, ..begun };
        hook::note(db, &due.id, &done).await?;
        if state != State::Sent {
            tracing::warn!(
                site = due.site.key,
                webhook = %due.hook.id,
                kind = due.id.kind.name(),
                attempt = number,
                again = next_attempt(Some(&done), i64::MAX).is_some(),
                code,
                why,
                "a webhook was not accepted"
            );
        }
        Ok(state == State::Sent)
    }

    async fn carry(&self, hook: &Hook, id: String, body: String) -> Answer {
        let failed = |state, why| Answer { state, code: 0, why };
        let Ok(target) = hook.open(&self.key) else {
            return failed(State::Refused, "it was sealed with another account key");
        };
        let (reach, time_s) = (self.reach, clock::now().as_second());
        let sending = tokio::task::spawn_blocking(move || {
            let message = Message { id: &id, time_s, body: &body };
            carrier::send(reach, &target.url, &target.secret, message)
        });
        sending.await.unwrap_or_else(|_| failed(State::Deferred, "sending it failed"))
    }
}

async fn goals_of(reports: &Reports, site: &Site, day: Date) -> Result<Vec<(Goal, Counts)>, SummaryError> {
    let goals = goal::all(reports, site.id).await?;
    if goals.is_empty() {
        return Ok(Vec::new());
    }
    let scope = Scope { site: site.id, time_zone: site.time_zone.clone() };
    let range = Range::day(day);
    let query = Query { detail: Detail::Groups, ..Query::totals(scope, range, Filters::default()) };
    let sources = Sources::of(reports, &query.scope, range).await?;
    let counts = completed(reports, &sources, &query, &goals).await?;
    Ok(goals.into_iter().zip(counts).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn message_that_was_cut_or_deferred_is_sent_again_and_no_other() {
        let attempt = |number, state| Attempt { number, state, code: 0, time_ms: 0 };
        assert_eq!(next_attempt(None, 0), Some(1));
        for state in [State::Begun, State::Deferred] {
            let last = attempt(1, state);
            assert_eq!(next_attempt(Some(&last), 300_000 - 1), None, "{state:?}");
            assert_eq!(next_attempt(Some(&last), 300_000), Some(2), "{state:?}");
            assert_eq!(next_attempt(Some(&attempt(6, state)), i64::MAX), None, "{state:?}: the last one");
        }
        for state in [State::Refused, State::Sent] {
            assert_eq!(next_attempt(Some(&attempt(1, state)), i64::MAX), None, "{state:?}");
        }
    }
}
