//! The ledger of salts: proves which salt existed when, without revealing any salt.
//!
//! Each line carries the hash of the previous one, so that no line can be changed, removed or inserted
//! without changing every later hash. Where several collectors share salts, each has its own chain, which
//! records when its copies were made and destroyed: a salt is gone once it has died in every chain in which
//! it was born.
//! Proof: tests below; `sotto salts ledger --verify` reads the stored lines.

use clickhouse::Row;
use serde::{Deserialize, Serialize};
use sotto_schema::{day::Day, id::SiteId};

use crate::db::Db;

/// A line of the ledger.
#[derive(Debug, Clone, PartialEq, Eq, Row, Serialize, Deserialize)]
pub struct Line {
    /// Number of the line, from 1 without gaps.
    pub seq: u64,
    /// When it was written, in milliseconds since 1970-01-01 UTC.
    pub time: i64,
    /// 1: the salt was made; 2: it was destroyed.
    pub event: i8,
    /// Whose salt.
    pub site: SiteId,
    /// For which day, in days since 1970-01-01.
    pub day: u16,
    /// A commitment to the salt, which anybody who has the salt can check.
    pub commitment: [u8; 32],
    /// Hash of the previous line; zeros in the first.
    pub previous: [u8; 32],
    /// Hash of this line.
    pub hash: [u8; 32],
    /// The chain's owner: the collector's name, empty if it is the only one.
    pub collector: String,
}

/// `event` of a salt that was made.
pub const BORN: i8 = 1;
/// `event` of a salt that was destroyed.
pub const DIED: i8 = 2;

/// What happened to a salt.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Life {
    /// [`BORN`] or [`DIED`].
    pub event: i8,
    /// Whose salt.
    pub site: SiteId,
    /// Of which day.
    pub day: Day,
    /// The commitment to the salt.
    pub commitment: [u8; 32],
}

impl Line {
    /// The line after `last` in the chain of `collector`.
    pub fn after(last: Option<&Self>, collector: &str, time: i64, life: Life) -> Self {
        let Life { event, site, day, commitment } = life;
        let mut line = Self {
            seq: last.map_or(1, |l| l.seq + 1),
            time,
            event,
            site,
            day: day.0,
            commitment,
            previous: last.map_or([0; 32], |l| l.hash),
            hash: [0; 32],
            collector: collector.to_owned(),
        };
        line.hash = line.expected_hash();
        line
    }

    fn expected_hash(&self) -> [u8; 32] {
        let mut hasher = blake3::Hasher::new_derive_key("sotto 2026-11 salt ledger");
        hasher.update(&self.previous);
        hasher.update(&self.seq.to_le_bytes());
        hasher.update(&self.time.to_le_bytes());
        hasher.update(&self.event.to_le_bytes());
        hasher.update(&self.site.0.to_le_bytes());
        hasher.update(&self.day.to_le_bytes());
        hasher.update(&self.commitment);
        hasher.update(self.collector.as_bytes());
        *hasher.finalize().as_bytes()
    }
}

/// What is wrong with a ledger.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Flaw {
    /// A line is missing or there twice.
    #[error("line {expected} is missing or doubled: found {found}")]
    Gap {
        /// The expected line number.
        expected: u64,
        /// The line number found.
        found: u64,
    },
    /// A line does not match the one before it.
    #[error("line {0} was changed, or the line before it was")]
    Changed(u64),
    /// A salt died without having been made, or was made twice.
    #[error("line {0} tells of a salt that was made twice or died without having been made")]
    Life(u64),
}

/// Checks a whole ledger, chain by chain, each oldest line first. Returns how many salts are alive according
/// to it; one held by several collectors counts once.
///
/// # Errors
/// The first flaw.
pub fn verify(lines: &[Line]) -> Result<usize, Flaw> {
    let mut alive = std::collections::HashSet::new();
    for chain in lines.chunk_by(|a, b| a.collector == b.collector) {
        alive.extend(verify_chain(chain)?);
    }
    Ok(alive.len())
}

/// The commitments of the salts that are alive according to one chain.
fn verify_chain(lines: &[Line]) -> Result<std::collections::HashSet<[u8; 32]>, Flaw> {
    let mut alive = std::collections::HashSet::new();
    let mut previous = [0; 32];
    for (line, expected) in lines.iter().zip(1..) {
        if line.seq != expected {
            return Err(Flaw::Gap { expected, found: line.seq });
        }
        if line.previous != previous || line.hash != line.expected_hash() {
            return Err(Flaw::Changed(line.seq));
        }
        let changed = match line.event {
            BORN => alive.insert(line.commitment),
            DIED => alive.remove(&line.commitment),
            _ => false,
        };
        if !changed {
            return Err(Flaw::Life(line.seq));
        }
        previous = line.hash;
    }
    Ok(alive)
}

/// All lines, oldest first.
///
/// # Errors
/// When ClickHouse cannot be queried.
pub async fn all(db: &Db) -> Result<Vec<Line>, clickhouse::error::Error> {
    db.query(include_str!("ledger/all.sql")).fetch_all().await
}

/// The last line of the chain of `collector`.
///
/// # Errors
/// When ClickHouse cannot be queried.
pub async fn last(db: &Db, collector: &str) -> Result<Option<Line>, clickhouse::error::Error> {
    db.query(include_str!("ledger/last.sql")).param("collector", collector).fetch_optional().await
}

#[derive(Row, Deserialize)]
struct Alive {
    site: SiteId,
    day: u16,
    commitment: [u8; 32],
}

/// The salts that are alive according to the chain of `collector`.
///
/// # Errors
/// When ClickHouse cannot be queried.
pub async fn alive(db: &Db, collector: &str) -> Result<Vec<Life>, clickhouse::error::Error> {
    let query = db.query(include_str!("ledger/alive.sql")).param("collector", collector);
    let alive = query.fetch_all::<Alive>().await?.into_iter();
    let life = |a: Alive| Life { event: BORN, site: a.site, day: Day(a.day), commitment: a.commitment };
    Ok(alive.map(life).collect())
}

/// The newest lines about the salts of one site, newest first.
///
/// # Errors
/// When ClickHouse cannot be queried.
pub async fn of_site(db: &Db, site: SiteId, limit: u64) -> Result<Vec<Line>, clickhouse::error::Error> {
    let query = db.query(include_str!("ledger/of_site.sql"));
    query.param("site", site).param("limit", limit).fetch_all().await
}

/// Appends consecutive lines.
///
/// # Errors
/// When ClickHouse cannot be queried, or its response is lost; then either all or none of the lines were
/// appended. Before the same lines are appended again, [`last`] tells whether they are there. Where the table
/// deduplicates inserts, it ignores the repetition by itself.
pub async fn append(db: &Db, lines: &[Line]) -> Result<(), clickhouse::error::Error> {
    let Some(last) = lines.last() else { return Ok(()) };
    let token = blake3::Hash::from(last.hash).to_hex();
    let insert = db.client().insert::<Line>("salt_ledger").await?;
    let mut insert = insert
        .with_setting("insert_deduplicate", "1")
        .with_setting("insert_deduplication_token", token.as_str());
    for line in lines {
        insert.write(line).await?;
    }
    insert.end().await
}

#[cfg(test)]
mod tests {
    use super::*;

    fn chain() -> Vec<Line> {
        let mut lines: Vec<Line> = Vec::new();
        for (event, site) in [(BORN, 1), (BORN, 2), (DIED, 1), (BORN, 3), (DIED, 3)] {
            let commitment = [site as u8; 32];
            let line = Line::after(
                lines.last(),
                "",
                1_000 + i64::from(site as u8),
                Life { event, site: SiteId(site), day: Day(20_000), commitment },
            );
            lines.push(line);
        }
        lines
    }

    #[test]
    fn untouched_ledger_verifies() {
        assert_eq!(verify(&chain()), Ok(1));
        assert_eq!(verify(&[]), Ok(0));
    }

    #[test]
    fn any_change_is_found() {
        let whole = chain();
        for i in 0..whole.len() - 1 {
            let mut lines = whole.clone();
            lines.remove(i);
            assert!(verify(&lines).is_err(), "line {i} removed");
        }
        type Change = fn(&mut Line);
        let changes: [Change; 6] = [
            |l| l.time += 1,
            |l| l.site.0 += 1,
            |l| l.day += 1,
            |l| l.commitment[0] ^= 1,
            |l| l.event = 3 - l.event,
            |l| l.collector.push('x'),
        ];
        for i in 0..whole.len() {
            for (c, change) in changes.iter().enumerate() {
                let mut lines = whole.clone();
                change(&mut lines[i]);
                assert!(verify(&lines).is_err(), "line {i}, change {c}");
            }
            let mut lines = whole.clone();
            lines[i].time += 1;
            lines[i].hash = lines[i].expected_hash();
            assert_eq!(verify(&lines).is_err(), i + 1 < whole.len(), "line {i} forged");
        }
    }

    #[test]
    fn salt_of_several_collectors_is_alive_until_the_last_copy_is_destroyed() {
        let line = |last: Option<&Line>, collector: &str, event| {
            Line::after(
                last,
                collector,
                1_000,
                Life { event, site: SiteId(1), day: Day(20_000), commitment: [1; 32] },
            )
        };
        let one = line(None, "c1", BORN);
        let other = line(None, "c2", BORN);
        let died = line(Some(&one), "c1", DIED);
        assert_eq!(verify(&[one.clone(), died.clone(), other.clone()]), Ok(1));
        let gone = line(Some(&other), "c2", DIED);
        assert_eq!(verify(&[one, died.clone(), other, gone.clone()]), Ok(0));
        assert_eq!(verify(&[died, gone]), Err(Flaw::Gap { expected: 1, found: 2 }), "a chain begins with 1");
    }

    #[test]
    fn salt_that_dies_twice_is_found() {
        let mut lines = chain();
        let last = Line::after(
            lines.last(),
            "",
            2_000,
            Life { event: DIED, site: SiteId(3), day: Day(20_000), commitment: [3; 32] },
        );
        lines.push(last);
        assert_eq!(verify(&lines), Err(Flaw::Life(6)));
    }
}
