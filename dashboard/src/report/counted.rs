//! Figures that were counted already.
//!
//! What a query says follows from the settlings and the fingerprints of the days it reads ([`super::sources`]): as long as
//! these are the same, so are its figures, and nobody has to wait for them again. A late hit, an erasure or another settling
//! changes them. Readers who ask the same at once wait for one query.

use std::{
    ops::Deref,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::{Duration, Instant},
};

use clickhouse::{Row, error::Error};
use jiff::civil::Date;
use quick_cache::{
    DefaultHashBuilder, OptionsBuilder, Weighter,
    sync::{Cache, DefaultLifecycle},
};
use serde::Deserialize;
use sotto_store::{
    db::Db,
    settled::{Fingerprint, few::Change},
};

use super::{Counts, Query, Range, Scope, sources::Plan};

/// Memory for figures, in bytes, about.
const BYTES_MAX: u64 = 16 << 20;
/// The largest answer that is kept, in bytes: one must not push all others out.
const ANSWER_BYTES_MAX: u64 = BYTES_MAX / 2;
/// Questions for which there is room at first.
const QUESTIONS: usize = 256;
/// After that time at most all is counted again: a replica that was asked may have been behind the one that told which days
/// there are.
const LIFETIME: Duration = Duration::from_secs(300);

/// A query, and all that its answer depends on.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(super) struct Question {
    scope: Scope,
    text: String,
    parameters: Vec<(String, Vec<String>)>,
    range: Range,
    /// Settled days.
    settled: Vec<(Date, u64)>,
    /// Settled months.
    months: Vec<(Date, u64)>,
    /// Raw events, and the moments between which they are read.
    raw: Vec<(Date, Fingerprint)>,
    since_ms: Option<i64>,
    until_ms: Option<i64>,
}

impl Question {
    /// A query of the days of a plan that its text names, with its other parameters.
    pub(super) fn new(
        query: &Query,
        plan: &Plan,
        text: String,
        parameters: Vec<(String, Vec<String>)>,
    ) -> Self {
        let named = |name: &str| text.contains(&format!("{{{name}:"));
        let of = |name: &str, days: Vec<(Date, u64)>| if named(name) { days } else { Vec::new() };
        Self {
            scope: query.scope.clone(),
            range: query.range,
            settled: of("settled", plan.settlings()),
            months: of("months", plan.months.clone()),
            raw: if named("raw") { plan.prints(&plan.raw) } else { Vec::new() },
            since_ms: query.since_ms.filter(|_| named("since")),
            until_ms: query.until_ms.filter(|_| named("until")),
            text,
            parameters,
        }
    }

    /// What is counted in this process.
    pub(super) fn here(query: &Query, plan: &Plan, text: String) -> Self {
        let days: Vec<Date> = plan.open.iter().map(|(day, _)| *day).chain(plan.few.iter().copied()).collect();
        Self {
            scope: query.scope.clone(),
            range: query.range,
            settled: plan.open.iter().map(|(day, open)| (*day, open.settling)).collect(),
            months: Vec::new(),
            raw: plan.prints(&days),
            since_ms: query.since_ms,
            until_ms: query.until_ms,
            text,
            parameters: Vec::new(),
        }
    }
}

/// The figures of a value.
#[derive(Debug, Row, Deserialize)]
pub(super) struct Figures {
    pub(super) dimension: String,
    pub(super) value: String,
    pub(super) visitors: u64,
    pub(super) visits: u64,
    pub(super) pageviews: u64,
    pub(super) measured_views: u64,
    pub(super) events: u64,
    pub(super) entries: u64,
    pub(super) bounces: u64,
    pub(super) engaged: u64,
}

impl Figures {
    pub(super) fn counts(&self) -> Counts {
        Counts {
            visitors: self.visitors,
            visits: self.visits,
            pageviews: self.pageviews,
            measured_views: self.measured_views,
            events: self.events,
            entries: self.entries,
            bounces: self.bounces,
            engaged_ms: self.engaged,
            coarse: false,
        }
    }
}

/// How often a goal was completed.
#[derive(Debug, Row, Deserialize)]
pub(super) struct Completed {
    pub(super) goal: u64,
    pub(super) visitors: u64,
    pub(super) visits: u64,
    pub(super) times: u64,
}

/// What hits tell beyond pages.
#[derive(Debug, Clone, PartialEq, Row, Deserialize)]
pub struct Told {
    /// What it is of.
    pub values: Vec<String>,
    /// Visitors; over several days the sum of the days.
    pub visitors: u64,
    /// Visits.
    pub visits: u64,
    /// How often, and more.
    pub numbers: Vec<f64>,
}

/// How often something was done by steps: what it is, and the pages that it is about.
#[derive(Debug, Clone, PartialEq, Eq, Row, Deserialize)]
pub(super) struct Stepped {
    pub(super) part: u64,
    pub(super) pages: Vec<String>,
    pub(super) visitors: u64,
    pub(super) visits: u64,
    pub(super) times: u64,
}

/// The answer to a question.
#[derive(Debug, Default)]
pub(super) struct Counted {
    /// Rows of a query.
    pub(super) rows: Vec<Figures>,
    /// What was counted in this process.
    pub(super) changes: Vec<Change>,
    /// How often goals were completed.
    pub(super) goals: Vec<Completed>,
    /// What hits tell beyond pages.
    pub(super) told: Vec<Told>,
    /// How often things were done by steps.
    pub(super) steps: Vec<Stepped>,
}

#[derive(Debug, Clone)]
struct Bytes;

impl Weighter<Question, Arc<Counted>> for Bytes {
    fn weight(&self, question: &Question, counted: &Arc<Counted>) -> u64 {
        let Question { text, settled, months, raw, .. } = question;
        let rows = counted.rows.iter().map(|row| row.value.len() + row.dimension.len() + 160);
        let of_days = |change: &Change| -> usize {
            change.more.iter().chain(&change.less).map(|figure| figure.value.len() + 120).sum()
        };
        let of_steps = |row: &Stepped| row.pages.iter().map(|page| page.len() + 24).sum::<usize>() + 56;
        let told = |row: &Told| {
            row.values.iter().map(|value| value.len() + 24).sum::<usize>() + 8 * row.numbers.len() + 64
        };
        let rows = rows.chain(counted.changes.iter().map(of_days));
        let rows = rows.chain(counted.steps.iter().map(of_steps)).chain(counted.told.iter().map(told));
        let more = 40 * counted.goals.len() + rows.sum::<usize>();
        (text.len() + 32 * (settled.len() + months.len() + raw.len()) + more + 500) as u64
    }
}

/// Where reports are read from, and what was counted of it.
#[derive(Clone)]
pub struct Reports {
    db: Db,
    counted: Arc<Cache<Question, Arc<Counted>, Bytes>>,
    began: Instant,
    /// How many lifetimes are over.
    lifetimes: Arc<AtomicU64>,
}

impl Reports {
    /// Reports of a database, nothing counted yet.
    ///
    /// # Panics
    /// Never.
    pub fn new(db: Db) -> Self {
        // In one piece: each of several would hold smaller answers only.
        let options = OptionsBuilder::new()
            .estimated_items_capacity(QUESTIONS)
            .weight_capacity(BYTES_MAX)
            .shards(1)
            .build()
            .expect("all that is needed is set");
        let cache =
            Cache::with_options(options, Bytes, DefaultHashBuilder::default(), DefaultLifecycle::default());
        Self { db, counted: Arc::new(cache), began: Instant::now(), lifetimes: Arc::default() }
    }

    /// Forgets all that was counted in an earlier lifetime, `age` after the beginning.
    fn forget_old(&self, age: Duration) {
        let lifetimes = age.as_secs() / LIFETIME.as_secs();
        if self.lifetimes.swap(lifetimes, Ordering::Relaxed) != lifetimes {
            self.counted.clear();
        }
    }

    /// The answer to a question, from `count` if it was not counted lately.
    pub(super) async fn answer(
        &self,
        question: Question,
        count: impl Future<Output = Result<Counted, Error>>,
    ) -> Result<Arc<Counted>, Error> {
        self.forget_old(self.began.elapsed());
        match self.counted.get_value_or_guard_async(&question).await {
            Ok(counted) => Ok(counted),
            // Dropped with its request, the guard lets the next one count.
            Err(guard) => {
                let counted = Arc::new(count.await?);
                if Bytes.weight(&question, &counted) <= ANSWER_BYTES_MAX {
                    // Fails when all was forgotten meanwhile; then it is counted again next time.
                    let _ = guard.insert(Arc::clone(&counted));
                }
                Ok(counted)
            }
        }
    }
}

impl Deref for Reports {
    type Target = Db;

    fn deref(&self) -> &Db {
        &self.db
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::AtomicUsize;

    use jiff::civil::date;
    use sotto_schema::id::SiteId;
    use sotto_store::db::Access;
    use tokio::sync::Notify;

    use super::*;
    use crate::filter::Filters;

    fn reports() -> Reports {
        let [url, database, user, password] =
            ["http://127.0.0.1:9", "sotto", "nobody", ""].map(str::to_owned);
        Reports::new(Db::new(Access { url, database, user, password }))
    }

    fn question(text: &str) -> Question {
        let scope = Scope { site: SiteId(7), time_zone: "UTC".into() };
        let query = Query::totals(scope, Range::day(date(2026, 3, 1)), Filters::default());
        Question::new(&query, &Plan::default(), text.into(), Vec::new())
    }

    /// An answer whose weight is that many bytes.
    fn of_bytes(question: &Question, bytes: u64) -> Counted {
        let row = |value: String| Figures {
            dimension: String::new(),
            value,
            visitors: 0,
            visits: 0,
            pageviews: 0,
            measured_views: 0,
            events: 0,
            entries: 0,
            bounces: 0,
            engaged: 0,
        };
        let of = |value: String| Counted { rows: vec![row(value)], ..Counted::default() };
        let empty = Bytes.weight(question, &Arc::new(of(String::new())));
        of("x".repeat(usize::try_from(bytes - empty).unwrap()))
    }

    #[tokio::test]
    async fn readers_who_ask_at_once_wait_for_one_count() {
        let (reports, counts, go) = (reports(), AtomicUsize::new(0), Notify::new());
        let ask = || {
            reports.answer(question("a"), async {
                counts.fetch_add(1, Ordering::Relaxed);
                go.notified().await;
                Ok(Counted::default())
            })
        };
        let begun = async {
            tokio::task::yield_now().await;
            go.notify_waiters();
        };
        let (a, b, c, ()) = tokio::join!(ask(), ask(), ask(), begun);
        assert!(a.is_ok() && b.is_ok() && c.is_ok());
        assert_eq!(counts.load(Ordering::Relaxed), 1);
    }

    #[tokio::test]
    async fn reader_who_goes_away_or_fails_lets_the_next_one_count() {
        let reports = reports();
        let mut gone = Box::pin(reports.answer(question("a"), std::future::pending()));
        assert!(futures_util::poll!(gone.as_mut()).is_pending());
        drop(gone);
        let failed = reports.answer(question("a"), async { Err(Error::TimedOut) }).await;
        assert!(failed.is_err());
        assert!(reports.answer(question("a"), async { Ok(Counted::default()) }).await.is_ok());
        let kept = reports.answer(question("a"), async { Err(Error::TimedOut) }).await;
        assert!(kept.is_ok(), "nothing is counted again");
    }

    #[tokio::test]
    async fn figures_fill_their_memory_and_no_more() {
        for (bytes, kept) in [(ANSWER_BYTES_MAX, true), (ANSWER_BYTES_MAX + 1, false)] {
            let reports = reports();
            let count = async { Ok(of_bytes(&question("large"), bytes)) };
            reports.answer(question("large"), count).await.unwrap();
            assert_eq!(reports.counted.get(&question("large")).is_some(), kept, "{bytes}");
        }
        let reports = reports();
        for n in 0..100 {
            let question = question(&format!("{n:03}"));
            let count = async { Ok(of_bytes(&question, 1 << 20)) };
            reports.answer(question.clone(), count).await.unwrap();
            assert!(reports.counted.weight() <= BYTES_MAX, "{n}");
        }
        assert!(reports.counted.len() > 8, "the older ones went, not all");
    }

    #[tokio::test]
    async fn figures_are_counted_again_after_their_lifetime() {
        let reports = reports();
        let known = |reports: &Reports| reports.counted.get(&question("a")).is_some();
        reports.answer(question("a"), async { Ok(Counted::default()) }).await.unwrap();
        reports.forget_old(LIFETIME - Duration::from_secs(1));
        assert!(known(&reports));
        reports.forget_old(LIFETIME);
        assert!(!known(&reports));
    }
}
