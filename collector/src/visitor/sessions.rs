//! Which visit a hit belongs to: a bounded map of the visitors of the last half hour.
//!
//! **Promises.** Two look-ups and one update per hit at most. Never more than `visitors_max` entries: when
//! full, ended ones are evicted first, then an arbitrary one (its visitor's next hit begins another visit).
//!
//! A visit's number depends on the visitor and on the half hour of the clock in which it began, and on nothing else:
//! collectors that see a new visitor at the same time give the same number without talking ([`crate::peers`]), and so
//! does one that forgot. Two visits of a visitor never share a number, as half an hour lies between them.
//!
//! A visit that goes on across midnight gets a number of the new day's key: one number under both keys would join them.
//!
//! **Crash.** The map is rebuilt from the last half hour of ClickHouse and the spool ([`Sessions::note`]).

use std::{
    collections::HashMap,
    sync::{Mutex, PoisonError},
};

use sotto_schema::id::{SessionId, SiteId, VisitorKey};

/// A visit ends after this long without a hit.
pub const TIMEOUT_MS: i64 = 30 * 60 * 1000;
const SHARDS: usize = 64;

#[derive(Debug, Clone, Copy)]
struct Session {
    id: SessionId,
    /// The earliest hit that is known, and the latest.
    first_ms: i64,
    last_ms: i64,
}

impl Session {
    /// Whether a hit at `time_ms` belongs to it: less than [`TIMEOUT_MS`] from one of its hits.
    const fn holds(&self, time_ms: i64) -> bool {
        self.first_ms - TIMEOUT_MS < time_ms && time_ms < self.last_ms + TIMEOUT_MS
    }

    const fn is_live(&self, now_ms: i64) -> bool {
        now_ms < self.last_ms + TIMEOUT_MS
    }
}

/// By site and visitor. Visitor keys are secret hashes, so nobody can choose colliding ones.
type Map = HashMap<(SiteId, VisitorKey), Session, foldhash::fast::RandomState>;

/// Visitors of the last half hour and their visits.
#[derive(Debug)]
pub struct Sessions {
    shards: Vec<Mutex<Map>>,
    shard_max: usize,
}

impl Sessions {
    /// An empty map for at most `visitors_max` visitors.
    pub fn new(visitors_max: usize) -> Self {
        Self {
            shards: (0..SHARDS).map(|_| Mutex::default()).collect(),
            shard_max: visitors_max.div_ceil(SHARDS).max(1),
        }
    }

    /// The visit of a hit at `time_ms`; nothing is changed, see [`Sessions::note`]. `before` is the visitor's
    /// key under the previous day's salt, while that is alive: a visit that began under it continues under a number
    /// of this day. A hit that does not `begin` visits (a report about a page view) belongs to the visitor's last one;
    /// none if there is none.
    ///
    /// A hit so late that the current visit began long after it belongs to an earlier visit, which is no
    /// longer remembered: late hits of one half hour of the clock form one visit.
    pub fn find(
        &self,
        site: SiteId,
        visitor: VisitorKey,
        before: Option<VisitorKey>,
        time_ms: i64,
        begins: bool,
    ) -> SessionId {
        if let Some(session) = self.get(site, visitor) {
            let is_report_after_the_end = !begins && session.last_ms < time_ms;
            if session.holds(time_ms) || is_report_after_the_end {
                return session.id;
            }
        } else if let Some(carried) = before.and_then(|before| self.get(site, before))
            && carried.holds(time_ms)
        {
            return session_id(site, visitor, time_ms);
        }
        if begins { session_id(site, visitor, time_ms) } else { SessionId::NONE }
    }

    /// Records that a hit of this visit was kept: by this collector, by it before a restart, or by another.
    /// Of several visits of a visitor the one with the latest hit is kept, so that all collectors converge.
    pub fn note(&self, site: SiteId, visitor: VisitorKey, session: SessionId, time_ms: i64) {
        let mut shard = self.shard(site, visitor);
        match shard.get_mut(&(site, visitor)) {
            Some(known) if known.id == session => {
                known.first_ms = known.first_ms.min(time_ms);
                known.last_ms = known.last_ms.max(time_ms);
            }
            Some(known) if known.last_ms >= time_ms => {}
            Some(known) => *known = Session { id: session, first_ms: time_ms, last_ms: time_ms },
            None => {
                self.make_room(&mut shard, time_ms);
                let new = Session { id: session, first_ms: time_ms, last_ms: time_ms };
                shard.insert((site, visitor), new);
            }
        }
    }

    /// Forgets visits that have ended.
    pub fn sweep(&self, now_ms: i64) {
        for shard in &self.shards {
            let mut shard = shard.lock().unwrap_or_else(PoisonError::into_inner);
            shard.retain(|_, s| s.is_live(now_ms));
            if shard.capacity() > shard.len() * 4 {
                shard.shrink_to_fit();
            }
        }
    }

    /// Site, visitor, visit and last hit of all visits that have not ended at `now_ms`, a part of them at a time.
    pub fn live(&self, now_ms: i64) -> impl Iterator<Item = Vec<(SiteId, VisitorKey, SessionId, i64)>> {
        self.shards.iter().map(move |shard| {
            let shard = shard.lock().unwrap_or_else(PoisonError::into_inner);
            let live = shard.iter().filter(|(_, s)| s.is_live(now_ms));
            live.map(|((site, visitor), s)| (*site, *visitor, s.id, s.last_ms)).collect()
        })
    }

    /// How many visitors are remembered.
    pub fn count(&self) -> usize {
        self.shards.iter().map(|s| s.lock().unwrap_or_else(PoisonError::into_inner).len()).sum()
    }

    fn get(&self, site: SiteId, visitor: VisitorKey) -> Option<Session> {
        self.shard(site, visitor).get(&(site, visitor)).copied()
    }

    fn shard(&self, site: SiteId, visitor: VisitorKey) -> std::sync::MutexGuard<'_, Map> {
        // Visitor keys are hashes: their bits are evenly spread.
        let index = (visitor.0 ^ site.0) as usize % SHARDS;
        self.shards[index].lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn make_room(&self, shard: &mut Map, now_ms: i64) {
        if shard.len() < self.shard_max {
            return;
        }
        shard.retain(|_, s| s.is_live(now_ms));
        if shard.len() >= self.shard_max
            && let Some(any) = shard.keys().next().copied()
        {
            shard.remove(&any);
        }
    }
}

/// A number for a new visit: depends on nothing but its visitor and the half hour in which it begins; never 0.
fn session_id(site: SiteId, visitor: VisitorKey, time_ms: i64) -> SessionId {
    let mut hasher = blake3::Hasher::new();
    for number in [site.0, visitor.0, time_ms.div_euclid(TIMEOUT_MS).cast_unsigned()] {
        hasher.update(&number.to_le_bytes());
    }
    let hash = hasher.finalize();
    let mut id = [0; 8];
    id.copy_from_slice(&hash.as_bytes()[..8]);
    SessionId(u64::from_le_bytes(id).max(1))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const NOW: i64 = 1_800_000_000_000;

    /// What a hit that is kept does.
    fn assign(
        sessions: &Sessions,
        site: SiteId,
        visitor: VisitorKey,
        before: Option<VisitorKey>,
        time_ms: i64,
        begins: bool,
    ) -> SessionId {
        let session = sessions.find(site, visitor, before, time_ms, begins);
        if session.is_some() {
            sessions.note(site, visitor, session, time_ms);
        }
        session
    }

    #[test]
    fn late_hit_joins_the_visit_of_its_time_and_not_that_of_now() {
        let (site, visitor) = (SiteId(1), VisitorKey(7));
        for (late_ms, begins, expected) in [
            (0, true, "same"),
            (TIMEOUT_MS - 1, true, "same"),
            (TIMEOUT_MS, true, "other"),
            (5 * 60 * 60 * 1000, true, "other"),
            (5 * 60 * 60 * 1000, false, "none"),
        ] {
            let sessions = Sessions::new(1_000);
            let now = assign(&sessions, site, visitor, None, NOW, true);
            let late = assign(&sessions, site, visitor, None, NOW - late_ms, begins);
            let found = if late.is_none() {
                "none"
            } else if late == now {
                "same"
            } else {
                "other"
            };
            assert_eq!(found, expected, "{late_ms} ms late");
            assert_eq!(
                assign(&sessions, site, visitor, None, NOW + 1, true),
                now,
                "the visit of now goes on"
            );
        }
    }

    #[test]
    fn looking_for_a_visit_changes_nothing() {
        let sessions = Sessions::new(1_000);
        assert!(sessions.find(SiteId(1), VisitorKey(7), None, NOW, true).is_some());
        assert_eq!(sessions.count(), 0);
    }

    #[test]
    fn gap_decides_whether_a_visit_goes_on() {
        for (gap, same) in [(0, true), (TIMEOUT_MS - 1, true), (TIMEOUT_MS, false)] {
            let sessions = Sessions::new(1_000);
            let first = assign(&sessions, SiteId(1), VisitorKey(7), None, NOW, true);
            assert_eq!(
                assign(&sessions, SiteId(1), VisitorKey(7), None, NOW + gap, true) == first,
                same,
                "{gap}"
            );
        }
    }

    #[test]
    fn visit_that_goes_on_across_midnight_has_a_number_of_each_day() {
        let sessions = Sessions::new(1_000);
        let (before, after) = (VisitorKey(7), VisitorKey(8));
        let first = assign(&sessions, SiteId(1), before, None, NOW, true);
        let second = assign(&sessions, SiteId(1), after, Some(before), NOW + 1, false);
        assert!(second.is_some(), "a report about a page view belongs to the visit that goes on");
        assert_ne!(second, first);
        assert_eq!(assign(&sessions, SiteId(1), after, None, NOW + TIMEOUT_MS, true), second);
        let late = assign(&sessions, SiteId(1), VisitorKey(9), Some(before), NOW + TIMEOUT_MS, false);
        assert_eq!(late, SessionId::NONE, "it has ended");
    }

    #[test]
    fn report_about_a_page_view_begins_no_visit() {
        let sessions = Sessions::new(1_000);
        assert_eq!(assign(&sessions, SiteId(1), VisitorKey(7), None, NOW, false), SessionId::NONE);
        let first = assign(&sessions, SiteId(1), VisitorKey(7), None, NOW, true);
        assert_eq!(assign(&sessions, SiteId(1), VisitorKey(7), None, NOW + 2 * TIMEOUT_MS, false), first);
    }

    #[test]
    fn visitor_of_another_site_is_another() {
        let sessions = Sessions::new(1_000);
        assert_ne!(
            assign(&sessions, SiteId(1), VisitorKey(7), None, NOW, true),
            assign(&sessions, SiteId(2), VisitorKey(7), None, NOW, true)
        );
    }

    #[test]
    fn remembered_visit_goes_on() {
        let sessions = Sessions::new(1_000);
        sessions.note(SiteId(1), VisitorKey(7), SessionId(42), NOW);
        sessions.note(SiteId(1), VisitorKey(7), SessionId(41), NOW - 1);
        assert_eq!(assign(&sessions, SiteId(1), VisitorKey(7), None, NOW + 1, true), SessionId(42));
    }

    #[test]
    fn swept_map_holds_only_live_visits() {
        let sessions = Sessions::new(1_000);
        assign(&sessions, SiteId(1), VisitorKey(7), None, NOW, true);
        assign(&sessions, SiteId(1), VisitorKey(8), None, NOW + 1, true);
        sessions.sweep(NOW + TIMEOUT_MS);
        assert_eq!(sessions.count(), 1);
    }

    #[test]
    fn collectors_that_see_a_new_visitor_at_once_agree_without_talking() {
        let (one, other) = (Sessions::new(1_000), Sessions::new(1_000));
        let first = assign(&one, SiteId(1), VisitorKey(7), None, NOW, true);
        assert_eq!(
            assign(&other, SiteId(1), VisitorKey(7), None, NOW + TIMEOUT_MS - 1, true),
            first,
            "NOW begins a half hour"
        );
        assert_ne!(assign(&other, SiteId(1), VisitorKey(8), None, NOW, true), first);
    }

    #[test]
    fn collectors_that_began_two_visits_go_on_with_the_same_one_after_they_were_told() {
        let (one, other) = (Sessions::new(1_000), Sessions::new(1_000));
        let first = assign(&one, SiteId(1), VisitorKey(7), None, NOW - 1, true);
        let second = assign(&other, SiteId(1), VisitorKey(7), None, NOW, true);
        assert_ne!(first, second);
        one.note(SiteId(1), VisitorKey(7), second, NOW);
        other.note(SiteId(1), VisitorKey(7), first, NOW - 1);
        assert_eq!(assign(&one, SiteId(1), VisitorKey(7), None, NOW + 1, true), second);
        assert_eq!(assign(&other, SiteId(1), VisitorKey(7), None, NOW + 1, true), second);
    }

    proptest! {
        #[test]
        fn visits_of_a_visitor_never_share_a_number(gaps in proptest::collection::vec(0..3 * TIMEOUT_MS, 1..50)) {
            let sessions = Sessions::new(1_000);
            let mut time = NOW;
            let mut numbers = vec![assign(&sessions, SiteId(1), VisitorKey(7), None, time, true)];
            let mut visits = 1;
            for gap in gaps {
                time += gap;
                visits += usize::from(gap >= TIMEOUT_MS);
                numbers.push(assign(&sessions, SiteId(1), VisitorKey(7), None, time, true));
            }
            numbers.dedup();
            prop_assert_eq!(numbers.len(), visits);
        }

        #[test]
        fn map_never_exceeds_its_bound(visitors in proptest::collection::vec(any::<u64>(), 1..500)) {
            let sessions = Sessions::new(64);
            for (i, visitor) in visitors.iter().enumerate() {
                assign(&sessions, SiteId(1), VisitorKey(*visitor), None, NOW + i as i64, true);
            }
            prop_assert!(sessions.count() <= 64);
        }

        #[test]
        fn hits_closer_than_the_gap_share_a_visit(gaps in proptest::collection::vec(0..TIMEOUT_MS, 1..50)) {
            let sessions = Sessions::new(1_000);
            let first = assign(&sessions, SiteId(1), VisitorKey(7), None, NOW, true);
            let mut time = NOW;
            for gap in gaps {
                time += gap;
                prop_assert_eq!(assign(&sessions, SiteId(1), VisitorKey(7), None, time, true), first);
            }
        }
    }
}
