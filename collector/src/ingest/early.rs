//! Hits that came before the pageview they belong to. A browser with several connections may deliver the second hit of a
//! page first; judged at once, it would be stored without its page.
//!
//! **Limits**: only the first [`EARLY_HITS_MAX`] hits of a page view wait, and only those that would be stored with
//! its page; [`WAITING_MAX`] requests wait at a time, each for at most [`PATIENCE`]. After that, and beyond that, a hit
//! is judged as it is: nothing is refused.

use std::{sync::atomic::Ordering, time::Duration};

use http::HeaderMap;
use quick_cache::sync::Cache;
use sotto_schema::{
    event::Kind,
    id::{SiteId, ViewId},
};
use tokio::{sync::Semaphore, time::Instant};

use super::{
    Collector,
    road::{Decoded, Submission},
};
use crate::{
    pipeline::{self, hit::Headers},
    visitor::page_view_cache::PageViewCache,
};

/// How many hits of a page view wait for it, the pageview itself included. Later ones come seconds after it.
pub const EARLY_HITS_MAX: u32 = 8;
/// How many requests wait at a time. Others are judged at once.
pub const WAITING_MAX: usize = 256;
/// How long a request waits.
pub const PATIENCE: Duration = Duration::from_millis(300);
/// How often it looks whether the pageview has come.
const LOOK_EVERY: Duration = Duration::from_millis(10);

/// How many pageviews that are stored without their number are remembered.
pub const ANONYMOUS_MAX: usize = 10_000;

/// Places for requests that wait for a pageview.
#[derive(Debug)]
pub struct EarlyHits {
    waiting: Semaphore,
    /// Pageviews that came and are not among [`PageViewCache`]: of visitors who had not agreed yet, or not kept. Who
    /// agrees on that page sends hits that no page is to be waited for. In memory only, and without the page.
    anonymous: Cache<(SiteId, ViewId), ()>,
}

impl Default for EarlyHits {
    fn default() -> Self {
        Self { waiting: Semaphore::new(WAITING_MAX), anonymous: Cache::new(ANONYMOUS_MAX) }
    }
}

impl EarlyHits {
    /// A pageview came of which no page is remembered.
    pub(super) fn note_anonymous(&self, site: SiteId, view: ViewId) {
        if view.is_some() {
            self.anonymous.insert((site, view), ());
        }
    }

    fn has_come(&self, view: (SiteId, ViewId), views: &PageViewCache) -> bool {
        views.page(view.0, view.1).is_some() || self.anonymous.get(&view).is_some()
    }

    /// Waits for these pageviews; returns whether all of them came. Without a place, it does not wait.
    async fn wait_for(&self, mut missing: Vec<(SiteId, ViewId)>, views: &PageViewCache) -> bool {
        let Ok(_place) = self.waiting.try_acquire() else { return false };
        let began = Instant::now();
        while !missing.is_empty() && began.elapsed() < PATIENCE {
            tokio::time::sleep(LOOK_EVERY).await;
            missing.retain(|view| !self.has_come(*view, views));
        }
        missing.is_empty()
    }
}

impl Collector {
    /// Waits a moment for the pageviews that these hits belong to, if they have not come yet.
    pub(super) async fn wait_for_pageviews(&self, hits: &[Decoded], headers: &HeaderMap) {
        let early = hits.iter().flatten().filter(|submission| is_early(submission));
        let missing: Vec<(SiteId, ViewId)> =
            early.filter_map(|submission| self.missing_pageview(submission, hits, headers)).collect();
        if missing.is_empty() {
            return;
        }
        let all_came = self.early_hits.wait_for(missing, &self.views).await;
        let counter = if all_came { &self.metrics.pageviews_awaited } else { &self.metrics.pageviews_missed };
        counter.fetch_add(1, Ordering::Relaxed);
    }

    /// The pageview whose page this hit is stored with, if it has not come yet.
    fn missing_pageview(
        &self,
        submission: &Submission,
        hits: &[Decoded],
        headers: &HeaderMap,
    ) -> Option<(SiteId, ViewId)> {
        let hit = &submission.hit;
        let rules = self.site_of(submission)?;
        let view = (rules.site.id, hit.view);
        let comes_along = || {
            let same = |other: &Submission| other.hit.kind == Kind::Pageview && other.hit.view == hit.view;
            hits.iter().flatten().any(same)
        };
        let is_missing = !self.early_hits.has_come(view, &self.views)
            && pipeline::needs_page_of_view(hit, &Headers::of(headers), &rules)
            && !comes_along();
        is_missing.then_some(view)
    }
}

/// Whether this may be a hit that overtook its pageview.
fn is_early(submission: &Submission) -> bool {
    let hit = &submission.hit;
    hit.kind != Kind::Pageview && hit.numbered && hit.seq < EARLY_HITS_MAX
}

#[cfg(test)]
mod tests {
    use super::*;

    const VIEW: (SiteId, ViewId) = (SiteId(1), ViewId(7));
    const OTHER: (SiteId, ViewId) = (SiteId(1), ViewId(8));

    fn come(views: &PageViewCache, (site, view): (SiteId, ViewId)) {
        views.remember(site, view, &"a.example".into(), &"/x".into());
    }

    #[tokio::test]
    async fn pageviews_that_come_while_a_hit_waits_are_found() {
        let (early, views) = (EarlyHits::default(), PageViewCache::default());
        let pageviews = async {
            come(&views, VIEW);
            tokio::task::yield_now().await;
            come(&views, OTHER);
        };
        let (came, ()) = tokio::join!(early.wait_for(vec![VIEW, OTHER], &views), pageviews);
        assert!(came);
    }

    #[tokio::test]
    async fn pageview_that_does_not_come_is_waited_for_until_the_patience_ends() {
        let (early, views) = (EarlyHits::default(), PageViewCache::default());
        come(&views, OTHER);
        let began = Instant::now();
        assert!(!early.wait_for(vec![VIEW, OTHER], &views).await);
        assert!(began.elapsed() >= PATIENCE);
    }

    #[tokio::test]
    async fn pageview_of_a_visitor_who_had_not_agreed_is_not_waited_for() {
        let (early, views) = (EarlyHits::default(), PageViewCache::default());
        early.note_anonymous(VIEW.0, VIEW.1);
        early.note_anonymous(SiteId(1), ViewId::NONE);
        assert!(early.has_come(VIEW, &views) && early.wait_for(vec![VIEW], &views).await);
        assert!(!early.has_come(OTHER, &views) && !early.has_come((SiteId(1), ViewId::NONE), &views));
    }

    #[test]
    fn remembered_anonymous_pageviews_never_exceed_their_bound() {
        let early = EarlyHits::default();
        for view in 1..=5 * ANONYMOUS_MAX as u64 {
            early.note_anonymous(SiteId(1), ViewId(view));
        }
        assert!(early.anonymous.len() <= ANONYMOUS_MAX, "{}", early.anonymous.len());
    }

    #[tokio::test]
    async fn request_beyond_those_that_may_wait_is_judged_at_once() {
        let (early, views) = (EarlyHits::default(), PageViewCache::default());
        let is_judged_at_once = async || {
            tokio::select! {
                biased;
                came = early.wait_for(vec![VIEW], &views) => !came,
                () = std::future::ready(()) => false,
            }
        };
        let _others = early.waiting.try_acquire_many(u32::try_from(WAITING_MAX - 1).unwrap()).unwrap();
        assert!(!is_judged_at_once().await, "the last place");
        let _last = early.waiting.try_acquire().unwrap();
        assert!(is_judged_at_once().await, "no place");
    }
}
