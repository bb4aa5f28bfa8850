//! Which page each page view was of, so that what happens on it (reading time, interactions, vitals) is
//! stored with its page: the script sends the page only once.
//!
//! **Promises.** Bounded: the least used page views are forgotten; their later hits are stored without a page. A hit
//! that comes before its pageview waits a moment for it ([`crate::ingest::early`]).
//!
//! **Crash.** Rebuilt from the last half hour of ClickHouse and the spool, with the visits.

use std::sync::Arc;

use compact_str::CompactString;
use quick_cache::sync::Cache;
use sotto_schema::id::{SiteId, ViewId};

/// How many page views are remembered.
pub const VIEWS_MAX: usize = 200_000;

/// A page: host and path, as stored.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Page {
    /// Host.
    pub hostname: CompactString,
    /// Path.
    pub path: CompactString,
}

/// The pages of recent page views.
#[derive(Debug)]
pub struct PageViewCache {
    of_view: Cache<(SiteId, ViewId), Arc<Page>>,
    /// Interned pages, shared by all their page views.
    pages: Cache<Page, Arc<Page>>,
}

/// How many pages are shared between views.
const PAGES_MAX: usize = 10_000;

impl Default for PageViewCache {
    fn default() -> Self {
        Self::new(VIEWS_MAX)
    }
}

impl PageViewCache {
    /// Remembers at most `views_max` page views.
    pub fn new(views_max: usize) -> Self {
        Self { of_view: Cache::new(views_max), pages: Cache::new(PAGES_MAX) }
    }

    /// Remembers that `view` of `site` was of this page.
    pub fn remember(&self, site: SiteId, view: ViewId, hostname: &CompactString, path: &CompactString) {
        if view.is_some() {
            let page = Page { hostname: hostname.clone(), path: path.clone() };
            let shared = self.pages.get(&page).unwrap_or_else(|| {
                let shared = Arc::new(page.clone());
                self.pages.insert(page, shared.clone());
                shared
            });
            self.of_view.insert((site, view), shared);
        }
    }

    /// The page of `view`, if it is remembered.
    pub fn page(&self, site: SiteId, view: ViewId) -> Option<Arc<Page>> {
        self.of_view.get(&(site, view))
    }

    /// How many page views are remembered.
    pub fn count(&self) -> usize {
        self.of_view.len()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn page_of_a_view_is_that_of_its_site_only() {
        let views = PageViewCache::default();
        views.remember(SiteId(1), ViewId(7), &"a.example".into(), &"/x".into());
        assert_eq!(views.page(SiteId(1), ViewId(7)).unwrap().path, "/x");
        assert_eq!((views.page(SiteId(2), ViewId(7)), views.page(SiteId(1), ViewId(8))), (None, None));
    }

    #[test]
    fn view_without_a_number_is_not_remembered() {
        let views = PageViewCache::default();
        views.remember(SiteId(1), ViewId::NONE, &"a.example".into(), &"/x".into());
        assert_eq!(views.page(SiteId(1), ViewId::NONE), None);
    }

    #[test]
    fn remembered_views_never_exceed_their_bound() {
        let views = PageViewCache::new(1_000);
        for view in 1..5_000 {
            views.remember(SiteId(1), ViewId(view), &"a.example".into(), &"/x".into());
        }
        assert!(views.count() <= 1_000, "{}", views.count());
    }
}
