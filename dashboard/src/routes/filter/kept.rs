//! Segments as they are listed, and who may change them.

use sotto_schema::id::UserId;
use sotto_store::segment::{Segment, SegmentError};

use crate::{filter::Filters, page::PageError, routes::overview::header::in_words, view::View};

/// A segment as it is listed.
pub(super) struct SegmentRow {
    pub(super) id: String,
    pub(super) name: String,
    /// Its filters, for people.
    pub(super) what: String,
    /// For whom it is.
    pub(super) whose: &'static str,
    /// The overview with its filters.
    pub(super) link: String,
    /// Whether the reader may change it.
    pub(super) may_change: bool,
}

impl SegmentRow {
    pub(super) fn of(segment: &Segment, (who, may_edit): (UserId, bool), view: &View, base: &str) -> Self {
        let filters = Filters::parse(segment.filters.iter().map(String::as_str));
        Self {
            id: segment.id.to_string(),
            name: segment.name.clone(),
            what: filters.each().map(in_words).collect::<Vec<_>>().join(", "),
            whose: if segment.is_of_site() { "for everybody" } else { "for you" },
            may_change: may_change(segment, who, may_edit),
            link: view.with_filters(filters).link(base),
        }
    }
}

/// Whether somebody may change a segment that they see: their own, and editors those of the site.
pub(in crate::routes) fn may_change(segment: &Segment, who: UserId, may_edit: bool) -> bool {
    if segment.is_of_site() { may_edit } else { segment.user == who }
}

/// A failure that is nobody's mistake.
pub(in crate::routes) fn failed(error: SegmentError) -> PageError {
    match error {
        SegmentError::Database(error) => error.into(),
        SegmentError::Randomness(error) => {
            tracing::error!(%error, "no randomness");
            PageError::Broken
        }
        SegmentError::Name | SegmentError::Taken | SegmentError::Filters | SegmentError::TooMany => {
            tracing::error!(%error, "a segment could not be read or changed");
            PageError::Broken
        }
    }
}

#[cfg(test)]
mod tests {
    use sotto_schema::id::{SegmentId, SiteId};

    use super::*;

    #[test]
    fn segment_is_changed_by_whose_it_is_and_one_of_the_site_by_editors() {
        let segment = |user| Segment {
            id: SegmentId(1),
            site: SiteId(1),
            user,
            name: "Buyers".into(),
            filters: vec!["did:is:Order".into()],
            created_ms: 0,
        };
        let (me, other) = (UserId(7), UserId(8));
        for (whose, editor, expected) in [
            (me, false, true),
            (me, true, true),
            (other, true, false),
            (UserId::NONE, true, true),
            (UserId::NONE, false, false),
        ] {
            assert_eq!(may_change(&segment(whose), me, editor), expected, "{whose} {editor}");
        }
    }
}
