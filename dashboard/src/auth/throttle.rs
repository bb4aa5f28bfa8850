//! Slows down guessing of passwords and codes without letting anybody lock out somebody else.
//!
//! Attempts are counted by account and network block together, so that failures at one place never stop the owner of
//! the account at another. A block is also limited over all accounts, against lists of stolen passwords. Guessing from
//! many blocks at once is bounded by the work that may be under way: a request beyond it is refused at once, before
//! the database is asked. Wrong codes of the second step are counted by account alone, because whoever gets there has
//! the password. States are in bounded memory, keyed by hashes: neither addresses nor e-mail addresses are kept.

use std::{
    collections::HashMap,
    num::NonZeroU32,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use axum::{
    extract::FromRequestParts,
    http::{StatusCode, request::Parts},
};
use governor::clock::{Clock, DefaultClock};
use sotto_schema::throttle::{ClientBlock, Limit, Throttle};

const QUARTER_HOUR: Duration = Duration::from_secs(15 * 60);
/// How many accounts, blocks, and pairs of them are remembered.
const KEYS_MAX: usize = 20_000;
/// Attempts from one block on one account.
pub(crate) const OF_ACCOUNT_AND_BLOCK: Limit = limit(10);
/// Attempts from one block on all accounts together: an office signs in from one address.
pub(crate) const OF_BLOCK: Limit = limit(100);
/// Codes of one account after a right password.
pub(crate) const CODES: Limit = limit(20);
/// Attempts under way; password hashing takes them in turn.
pub(crate) const UNDER_WAY_MAX: usize = 32;
/// Attempts under way from one block, so that one block cannot take all places.
pub(crate) const UNDER_WAY_OF_BLOCK_MAX: usize = 8;
/// How long to wait for a place.
const BUSY: Duration = Duration::from_secs(2);

const fn limit(most: u32) -> Limit {
    Limit { most: NonZeroU32::new(most).expect("not zero"), window: QUARTER_HOUR, keys_max: KEYS_MAX }
}

/// Hash of an e-mail address as it is compared.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
struct Account(u64);

impl Account {
    fn of(email: &str) -> Self {
        let hash = blake3::hash(email.trim().to_lowercase().as_bytes());
        Self(hash.as_bytes().iter().take(8).fold(0, |n, b| n << 8 | u64::from(*b)))
    }
}

/// Where a request comes from, as far as the dashboard may know.
#[derive(Clone, Copy)]
pub(crate) struct FromBlock(pub(crate) ClientBlock);

impl<S: Send + Sync> FromRequestParts<S> for FromBlock {
    type Rejection = std::convert::Infallible;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Self::Rejection> {
        Ok(Self(parts.extensions.get().copied().unwrap_or(ClientBlock::UNKNOWN)))
    }
}

/// Why an attempt is not looked at.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Refused {
    /// Too many from there; after this long one more is allowed.
    TooMany(Duration),
    /// Too many at once, from everywhere.
    Busy(Duration),
}

impl Refused {
    /// The status of the answer, how long to wait, and what to say.
    pub(crate) fn answer(self) -> (StatusCode, Duration, String) {
        match self {
            Self::TooMany(wait) => {
                let text = format!("Too many attempts from your network. Try again in {}.", in_words(wait));
                (StatusCode::TOO_MANY_REQUESTS, wait, text)
            }
            Self::Busy(wait) => {
                let text = "Many people are signing in right now. Try again in a few seconds.".to_owned();
                (StatusCode::SERVICE_UNAVAILABLE, wait, text)
            }
        }
    }
}

/// Whole seconds, never none.
pub(crate) fn retry_after(wait: Duration) -> u64 {
    wait.as_secs() + 1
}

fn in_words(wait: Duration) -> String {
    match retry_after(wait) {
        1 => "a second".to_owned(),
        seconds @ ..=90 => format!("{seconds} seconds"),
        seconds => format!("{} minutes", seconds.div_ceil(60)),
    }
}

/// Counts attempts to sign in.
pub(crate) struct Attempts<C: Clock = DefaultClock> {
    pairs: Throttle<(Account, ClientBlock), C>,
    blocks: Throttle<ClientBlock, C>,
    codes: Throttle<Account, C>,
    under_way: Arc<Mutex<HashMap<ClientBlock, usize>>>,
}

impl Default for Attempts {
    fn default() -> Self {
        Self::with_clock(DefaultClock::default())
    }
}

/// A place among the attempts under way; free again when dropped.
pub(crate) struct Place {
    block: ClientBlock,
    under_way: Arc<Mutex<HashMap<ClientBlock, usize>>>,
}

impl Drop for Place {
    fn drop(&mut self) {
        let mut under_way = self.under_way.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(count) = under_way.get_mut(&self.block) {
            *count -= 1;
            if *count == 0 {
                under_way.remove(&self.block);
            }
        }
    }
}

impl<C: Clock + Clone> Attempts<C> {
    fn with_clock(clock: C) -> Self {
        Self {
            pairs: Throttle::with_clock(OF_ACCOUNT_AND_BLOCK, clock.clone()),
            blocks: Throttle::with_clock(OF_BLOCK, clock.clone()),
            codes: Throttle::with_clock(CODES, clock),
            under_way: Arc::default(),
        }
    }

    /// Counts an attempt and gives it a place, which it keeps until it is answered.
    pub(crate) fn begin(&self, email: &str, from: FromBlock) -> Result<Place, Refused> {
        let block = from.0;
        let place = self.place(block)?;
        self.pairs.allow(&(Account::of(email), block)).map_err(Refused::TooMany)?;
        self.blocks.allow(&block).map_err(Refused::TooMany)?;
        Ok(place)
    }

    fn place(&self, block: ClientBlock) -> Result<Place, Refused> {
        let mut under_way = self.under_way.lock().unwrap_or_else(PoisonError::into_inner);
        if under_way.get(&block).is_some_and(|count| *count >= UNDER_WAY_OF_BLOCK_MAX) {
            return Err(Refused::TooMany(BUSY));
        }
        if under_way.values().sum::<usize>() >= UNDER_WAY_MAX {
            return Err(Refused::Busy(BUSY));
        }
        *under_way.entry(block).or_default() += 1;
        Ok(Place { block, under_way: self.under_way.clone() })
    }

    /// Counts a code that came with a right password. A right one is refused, too, when there were too many.
    pub(crate) fn code(&self, email: &str) -> Result<(), Refused> {
        self.codes.allow(&Account::of(email)).map_err(Refused::TooMany)
    }

    /// Somebody who is signed in typed their password: their attempts from here are forgotten.
    pub(crate) fn password_proved(&self, email: &str, from: FromBlock) {
        self.pairs.forget(&(Account::of(email), from.0));
    }

    /// Somebody proved all that is asked for: their attempts from here and their codes are forgotten.
    pub(crate) fn succeeded(&self, email: &str, from: FromBlock) {
        self.password_proved(email, from);
        self.codes.forget(&Account::of(email));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use governor::clock::FakeRelativeClock;

    const ANN: &str = "ann@example.org";

    fn block(n: u64) -> FromBlock {
        FromBlock(ClientBlock::new(n))
    }

    fn block_of(n: u64) -> ClientBlock {
        block(n).0
    }

    fn attempts() -> (Attempts<FakeRelativeClock>, FakeRelativeClock) {
        let clock = FakeRelativeClock::default();
        (Attempts::with_clock(clock.clone()), clock)
    }

    fn too_many(result: &Result<Place, Refused>) -> bool {
        matches!(result, Err(Refused::TooMany(wait)) if *wait > Duration::ZERO)
    }

    #[test]
    fn account_is_stopped_where_it_was_guessed_and_nowhere_else() {
        let (attempts, clock) = attempts();
        for _ in 0..OF_ACCOUNT_AND_BLOCK.most.get() {
            assert!(attempts.begin(ANN, block(1)).is_ok());
        }
        assert!(too_many(&attempts.begin(" Ann@example.org", block(1))), "however it is written");
        assert!(attempts.begin(ANN, block(2)).is_ok(), "the owner elsewhere");
        assert!(attempts.begin("bob@example.org", block(1)).is_ok(), "somebody else there");
        clock.advance(QUARTER_HOUR);
        assert!(attempts.begin(ANN, block(1)).is_ok());
    }

    #[test]
    fn guesses_from_many_blocks_stop_only_these_blocks() {
        let (attempts, _clock) = attempts();
        for n in 1..2_000 {
            assert!(attempts.begin(ANN, block(n)).is_ok());
        }
        assert!(attempts.begin(ANN, block(0)).is_ok());
    }

    #[test]
    fn block_is_stopped_over_all_accounts() {
        let (attempts, _clock) = attempts();
        for n in 0..OF_BLOCK.most.get() {
            assert!(attempts.begin(&format!("{n}@example.org"), block(1)).is_ok());
        }
        assert!(too_many(&attempts.begin(ANN, block(1))));
        assert!(attempts.begin(ANN, block(2)).is_ok());
    }

    #[test]
    fn codes_are_counted_by_account_wherever_they_come_from() {
        let (attempts, clock) = attempts();
        for _ in 0..CODES.most.get() {
            assert_eq!(attempts.code(ANN), Ok(()));
        }
        assert!(attempts.code(ANN).is_err());
        assert_eq!(attempts.code("bob@example.org"), Ok(()));
        clock.advance(QUARTER_HOUR);
        assert_eq!(attempts.code(ANN), Ok(()));
    }

    #[test]
    fn success_forgets_the_attempts_of_its_account_and_block_only() {
        let (attempts, _clock) = attempts();
        for n in [1, 2] {
            while attempts.begin(ANN, block(n)).is_ok() {}
        }
        attempts.succeeded(ANN, block(1));
        assert!(attempts.begin(ANN, block(1)).is_ok());
        assert!(too_many(&attempts.begin(ANN, block(2))), "the attacker gains nothing");
    }

    #[test]
    fn places_are_bounded_by_block_and_altogether_and_come_back() {
        let (attempts, _clock) = attempts();
        let mut places: Vec<Place> =
            (0..UNDER_WAY_OF_BLOCK_MAX).map(|_| attempts.place(block_of(0)).ok().unwrap()).collect();
        assert_eq!(attempts.place(block_of(0)).err(), Some(Refused::TooMany(BUSY)));
        let rest = (UNDER_WAY_OF_BLOCK_MAX..UNDER_WAY_MAX).map(|n| attempts.place(block_of(n as u64)));
        places.extend(rest.map(|place| place.ok().unwrap()));
        assert_eq!(attempts.place(block_of(99)).err(), Some(Refused::Busy(BUSY)));
        places.pop();
        assert!(attempts.place(block_of(99)).is_ok());
        places.clear();
        assert!(attempts.under_way.lock().unwrap().is_empty(), "nothing is remembered of those answered");
    }

    #[test]
    fn refusal_says_how_long_to_wait() {
        for (wait, seconds, words) in
            [(0, 1, "a second"), (89, 90, "90 seconds"), (90, 91, "2 minutes"), (899, 900, "15 minutes")]
        {
            let wait = Duration::from_secs(wait);
            assert_eq!((retry_after(wait), in_words(wait).as_str()), (seconds, words));
        }
    }

    #[test]
    fn memory_is_bounded() {
        let (attempts, _clock) = attempts();
        for n in 0..=KEYS_MAX as u64 {
            attempts.begin(ANN, block(n)).ok();
            attempts.code(&format!("{n}@example.org")).ok();
        }
        for keys in [attempts.pairs.keys(), attempts.blocks.keys(), attempts.codes.keys()] {
            assert!(keys <= KEYS_MAX, "{keys}");
        }
    }
}
