//! Keys of durable hits, so that a browser's retry is kept once.
//!
//! Owned by the writing thread alone: a key becomes known when its record is on disk, not before. So a hit
//! whose first attempt failed is kept on retry, and of two concurrent attempts the first in order is kept.
//!
//! Bounded: two generations of [`GENERATION_MAX`] keys; when the younger one is full, the older one is forgotten.

use std::{
    collections::HashSet,
    hash::{BuildHasher, BuildHasherDefault, Hasher},
};

use sotto_schema::id::{SiteId, ViewId};

/// At least this many keys are remembered once that many were seen; at most twice as many. It is what a table
/// of 2^18 slots (2.3 MB) holds without growing.
pub const GENERATION_MAX: usize = (1 << 18) / 8 * 7;

/// Identifies a hit across a browser's retries.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Key {
    /// The site's number.
    pub site: SiteId,
    /// Number of the page view; never 0.
    pub view: ViewId,
    /// Counter within the page view.
    pub seq: u32,
}

/// Identity hasher: fingerprints are hashes already.
#[derive(Debug, Default, Clone, Copy)]
struct Same(u64);

impl Hasher for Same {
    fn finish(&self) -> u64 {
        self.0
    }
    fn write(&mut self, bytes: &[u8]) {
        // Only numbers are hashed here; this is never called.
        self.0 = bytes.iter().fold(self.0, |hash, byte| hash.rotate_left(8) ^ u64::from(*byte));
    }
    fn write_u64(&mut self, number: u64) {
        self.0 = number;
    }
}

type Set = HashSet<u64, BuildHasherDefault<Same>>;

/// The keys.
#[derive(Debug)]
pub(super) struct Known {
    seed: foldhash::quality::RandomState,
    younger: Set,
    older: Set,
    generation_max: usize,
}

impl Known {
    pub(super) fn new(generation_max: usize) -> Self {
        Self {
            seed: foldhash::quality::RandomState::default(),
            younger: Set::default(),
            older: Set::default(),
            generation_max,
        }
    }

    /// 64 bits under a secret seed: nobody can construct two hits that collide.
    fn fingerprint(&self, key: Key) -> u64 {
        self.seed.hash_one(key)
    }

    /// Adds `key`; returns its fingerprint, or `None` if it was known.
    pub(super) fn add(&mut self, key: Key) -> Option<u64> {
        let fingerprint = self.fingerprint(key);
        if self.older.contains(&fingerprint) || !self.younger.insert(fingerprint) {
            return None;
        }
        if self.younger.len() >= self.generation_max {
            std::mem::swap(&mut self.younger, &mut self.older);
            self.younger.clear();
        }
        Some(fingerprint)
    }

    /// Undoes [`Known::add`]: the record did not become durable.
    pub(super) fn forget(&mut self, fingerprint: u64) {
        if !self.younger.remove(&fingerprint) {
            self.older.remove(&fingerprint);
        }
    }

    #[cfg(test)]
    fn count(&self) -> usize {
        self.younger.len() + self.older.len()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key(view: ViewId) -> Key {
        Key { site: SiteId(1), view, seq: 0 }
    }

    #[test]
    fn key_is_known_from_when_it_is_added_until_it_is_taken_back() {
        let mut known = Known::new(10);
        let fingerprint = known.add(key(ViewId(1))).unwrap();
        assert_eq!(known.add(key(ViewId(1))), None);
        for other in
            [Key { site: SiteId(2), ..key(ViewId(1)) }, key(ViewId(2)), Key { seq: 1, ..key(ViewId(1)) }]
        {
            assert!(known.add(other).is_some(), "{other:?}");
        }
        known.forget(fingerprint);
        assert!(known.add(key(ViewId(1))).is_some());
    }

    #[test]
    fn keys_never_exceed_their_bound_and_the_latest_are_known() {
        let mut known = Known::new(100);
        for view in 1..1_000 {
            assert!(known.add(key(ViewId(view))).is_some());
            assert!(known.count() <= 200);
            for recent in view.saturating_sub(99).max(1)..=view {
                assert_eq!(known.add(key(ViewId(recent))), None, "{recent} of {view}");
            }
        }
        assert!(known.add(key(ViewId(1))).is_some(), "long ago");
    }
}
