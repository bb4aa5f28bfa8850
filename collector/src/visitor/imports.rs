//! Salts and visits of imports: hits of days whose salt is dead, sent later by a program with a token.
//!
//! An import is what one token sends until it has been idle for [`IDLE_MS`], or is removed. Each of its sites and days
//! gets a random salt of its own, made for that import, so that its visitors can be told apart within the day. The same
//! address has another key in live traffic, in another import and on another day.
//!
//! **Promises.** These salts are in memory only: in no file, in no ledger, with no other collector. They are
//! overwritten when the import ends and when the program stops; after a restart the rest of an import has other keys.
//! Everything is bounded: see the constants. Visits are kept apart from live ones.

use std::{
    collections::HashMap,
    io,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use sotto_schema::{
    day::Day,
    id::{SiteId, TokenId},
};

use super::{salts::Salt, sessions::Sessions};

/// An import ends when nothing came for this long.
pub const IDLE_MS: i64 = 30 * 60 * 1000;
/// How many imports there may be at a time. One more ends the one that has been idle for longest.
pub const IMPORTS_MAX: usize = 16;
/// How many salts an import may have: more than the days of the longest retention. One more destroys the one that has
/// not been used for longest.
pub const SALTS_MAX: usize = 1_024;
/// How many visitors of an import are remembered at a time, to put their visits together.
pub const VISITORS_MAX: usize = 32_768;

/// All imports that go on.
#[derive(Default)]
pub struct Imports(Mutex<HashMap<TokenId, Import>>);

struct Import {
    used_ms: i64,
    sessions: Arc<Sessions>,
    salts: HashMap<(SiteId, Day), UsedSalt>,
    /// Counts uses, to find the salt that has not been used for longest.
    uses: u64,
}

struct UsedSalt {
    salt: Arc<Salt>,
    last_use: u64,
}

/// What the visitors of one site and day of an import are told apart with.
pub struct DayOfImport {
    /// The day's salt.
    pub salt: Arc<Salt>,
    /// The salt of the day before, if the import had hits of it: a visit goes on at midnight.
    pub before: Option<Arc<Salt>>,
    /// The visits of the import.
    pub sessions: Arc<Sessions>,
}

impl Imports {
    /// The salts and visits of what `token` imports for a site and day; made if missing.
    ///
    /// # Errors
    /// When the operating system has no randomness.
    pub fn day(&self, token: TokenId, site: SiteId, day: Day, now_ms: i64) -> io::Result<DayOfImport> {
        let mut imports = self.lock();
        if !imports.contains_key(&token) {
            make_room(&mut imports);
        }
        let import = imports.entry(token).or_insert_with(|| Import::new(now_ms));
        import.used_ms = import.used_ms.max(now_ms);
        let before = day.before().and_then(|before| Some(import.salts.get(&(site, before))?.salt.clone()));
        Ok(DayOfImport { salt: import.salt(site, day)?, before, sessions: import.sessions.clone() })
    }

    /// Ends the imports that have been idle for [`IDLE_MS`]. Returns how many salts were destroyed.
    pub fn end_idle(&self, now_ms: i64) -> usize {
        self.end(|_, import| now_ms - import.used_ms >= IDLE_MS)
    }

    /// Ends the imports of tokens that are no longer in force. Returns how many salts were destroyed.
    pub fn end_without_token(&self, is_in_force: impl Fn(TokenId) -> bool) -> usize {
        self.end(|token, _| !is_in_force(token))
    }

    /// Ends all imports. Returns how many salts were destroyed.
    pub fn end_all(&self) -> usize {
        self.end(|_, _| true)
    }

    /// How many salts are alive.
    pub fn count(&self) -> usize {
        self.lock().values().map(|import| import.salts.len()).sum()
    }

    /// Memory is overwritten when the last request that holds a salt ends.
    fn end(&self, mut is_over: impl FnMut(TokenId, &Import) -> bool) -> usize {
        let mut imports = self.lock();
        let over = imports.extract_if(|token, import| is_over(*token, import));
        over.map(|(_, import)| import.salts.len()).sum()
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<TokenId, Import>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn make_room(imports: &mut HashMap<TokenId, Import>) {
    if imports.len() >= IMPORTS_MAX
        && let Some(oldest) = imports.iter().min_by_key(|(_, import)| import.used_ms).map(|(token, _)| *token)
    {
        imports.remove(&oldest);
        tracing::warn!(
            "more than {IMPORTS_MAX} imports at a time; the one that was idle for longest has ended"
        );
    }
}

impl Import {
    fn new(now_ms: i64) -> Self {
        let (sessions, salts) = (Arc::new(Sessions::new(VISITORS_MAX)), HashMap::new());
        Self { used_ms: now_ms, sessions, salts, uses: 0 }
    }

    fn salt(&mut self, site: SiteId, day: Day) -> io::Result<Arc<Salt>> {
        self.uses += 1;
        if let Some(known) = self.salts.get_mut(&(site, day)) {
            known.last_use = self.uses;
            return Ok(known.salt.clone());
        }
        let salt = Arc::new(Salt::random()?);
        if self.salts.len() >= SALTS_MAX
            && let Some(oldest) = self.salts.iter().min_by_key(|(_, used)| used.last_use).map(|(key, _)| *key)
        {
            self.salts.remove(&oldest);
        }
        self.salts.insert((site, day), UsedSalt { salt: salt.clone(), last_use: self.uses });
        Ok(salt)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: i64 = 1_800_000_000_000;
    const SITE: SiteId = SiteId(7);
    const DAY: Day = Day(20_000);

    fn commitment(imports: &Imports, token: u64, site: SiteId, day: Day, now_ms: i64) -> [u8; 32] {
        imports.day(TokenId(token), site, day, now_ms).unwrap().salt.commitment()
    }

    #[test]
    fn salt_is_the_same_within_an_import_site_and_day_and_another_outside() {
        let imports = Imports::default();
        let first = commitment(&imports, 1, SITE, DAY, NOW);
        for (token, site, day, same) in [
            (1, SITE, DAY, true),
            (2, SITE, DAY, false),
            (1, SiteId(8), DAY, false),
            (1, SITE, DAY.plus(1), false),
        ] {
            assert_eq!(commitment(&imports, token, site, day, NOW) == first, same, "{token} {site} {day}");
        }
        assert_eq!(imports.count(), 4);
    }

    #[test]
    fn import_ends_after_its_idle_time_and_not_before() {
        let imports = Imports::default();
        let first = commitment(&imports, 1, SITE, DAY, NOW);
        // Another day of it keeps the whole import.
        commitment(&imports, 1, SITE, DAY.plus(1), NOW + 1);
        assert_eq!(imports.end_idle(NOW + IDLE_MS), 0);
        assert_eq!(commitment(&imports, 1, SITE, DAY, NOW), first);
        assert_eq!((imports.end_idle(NOW + 1 + IDLE_MS), imports.count()), (2, 0));
        assert_ne!(commitment(&imports, 1, SITE, DAY, NOW + 1 + IDLE_MS), first, "it is gone for good");
    }

    #[test]
    fn import_ends_with_its_token_and_at_the_stop() {
        let imports = Imports::default();
        commitment(&imports, 1, SITE, DAY, NOW);
        commitment(&imports, 2, SITE, DAY, NOW);
        assert_eq!((imports.end_without_token(|token| token == TokenId(2)), imports.count()), (1, 1));
        assert_eq!((imports.end_all(), imports.count()), (1, 0));
    }

    #[test]
    fn salt_of_an_import_that_ended_is_dropped_by_the_last_that_holds_it() {
        let imports = Imports::default();
        let held = imports.day(TokenId(1), SITE, DAY, NOW).unwrap();
        let salt = Arc::downgrade(&held.salt);
        imports.end_all();
        assert!(salt.upgrade().is_some(), "a request uses it");
        drop(held);
        assert!(salt.upgrade().is_none(), "and it is overwritten when dropped");
    }

    #[test]
    fn visit_goes_on_at_midnight_only_from_a_day_of_the_same_import_and_site() {
        let imports = Imports::default();
        let first = commitment(&imports, 1, SITE, DAY, NOW);
        for (token, site, day, known) in [
            (1, SITE, DAY.plus(1), true),
            (2, SITE, DAY.plus(1), false),
            (1, SiteId(8), DAY.plus(1), false),
            (1, SITE, DAY, false),
        ] {
            let before = imports.day(TokenId(token), site, day, NOW).unwrap().before;
            let before = before.map(|salt| salt.commitment());
            assert_eq!(before == Some(first), known, "{token} {site} {day}");
        }
    }

    #[test]
    fn imports_at_the_limit_go_on_and_one_more_ends_the_most_idle() {
        let imports = Imports::default();
        let made = |n: usize| commitment(&imports, n as u64 + 1, SITE, DAY, NOW + n as i64);
        let salts: Vec<_> = (0..IMPORTS_MAX).map(made).collect();
        assert_eq!(imports.count(), IMPORTS_MAX);
        assert_eq!(commitment(&imports, 1, SITE, DAY, NOW + 100), salts[0], "all go on");
        made(IMPORTS_MAX);
        assert_eq!(imports.count(), IMPORTS_MAX);
        assert_eq!(commitment(&imports, 1, SITE, DAY, NOW + 100), salts[0], "it was used last");
        assert_ne!(commitment(&imports, 2, SITE, DAY, NOW + 101), salts[1], "it was idle for longest");
    }

    #[test]
    fn salts_of_an_import_at_the_limit_stay_and_one_more_replaces_the_least_recently_used() {
        let imports = Imports::default();
        let made = |n: usize| commitment(&imports, 1, SITE, DAY.plus(n as u16), NOW);
        let salts: Vec<_> = (0..SALTS_MAX).map(made).collect();
        assert_eq!((imports.count(), made(0) == salts[0]), (SALTS_MAX, true), "all stay");
        made(SALTS_MAX);
        assert_eq!((imports.count(), made(0) == salts[0]), (SALTS_MAX, true), "it was used last");
        assert_ne!(made(1), salts[1]);
    }
}
