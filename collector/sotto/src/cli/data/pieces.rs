//! The events of a day in pieces that fit into memory.
//!
//! ClickHouse gives one query a share of its memory and half a minute, and what it began to send cannot be asked for again once
//! it was written. So a day is read in pieces of about [`PIECE_ROWS`] events: each is whole before it is written, and is
//! asked for again where memory was short. How fast the lines are taken does not matter either.

use std::{cell::Cell, time::Duration};

use clickhouse::{Row, error::Error};
use serde::Deserialize;
use sotto_schema::{day::Day, id::SiteId};
use sotto_store::{
    db::Db,
    patience::{PAUSES, asked},
};

/// Events of a piece, about: some ten megabytes of lines. With fewer, ClickHouse reads more than it is asked for (8,192 rows at
/// least): 8,000 took half as long again (measured).
const PIECE_ROWS: u64 = 20_000;
/// How often a piece is asked for again after the usual pauses, every [`LONG_PAUSE`].
const LONG_PAUSES: usize = 60;
/// Merges and jobs take the memory for seconds.
const LONG_PAUSE: Duration = Duration::from_secs(2);
/// How many rows ClickHouse formats at a time: at its own default, they would take hundreds of megabytes.
pub(super) const BLOCK_ROWS: &str = "8192";
/// Behind every time, in milliseconds since 1970-01-01 UTC.
const END_MS: i64 = 9_000_000_000_000;

/// A day that has events.
#[derive(Debug, Clone, Row, Deserialize)]
pub(super) struct DayOfEvents {
    #[serde(rename = "number")]
    pub(super) day: Day,
    pub(super) events: u64,
    /// Those without a visitor, the first of them and the last, in milliseconds since 1970-01-01 UTC.
    anonymous: u64,
    first: i64,
    last: i64,
}

/// Some of the events of a day: those of visitors and times, both inclusive.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Piece {
    visitors: (u64, u64),
    times: (i64, i64),
}

/// The days of a site that have events, oldest first.
pub(super) async fn days(db: &Db, site: SiteId, (from, to): (Day, Day)) -> Result<Vec<DayOfEvents>, Error> {
    let query = db.query(include_str!("days.sql")).param("site", site);
    let query = query.param("from", from.0).param("to", to.0);
    asked(pauses(), || query.clone().fetch_all()).await
}

fn pauses() -> impl Iterator<Item = Duration> {
    PAUSES.into_iter().chain(std::iter::repeat_n(LONG_PAUSE, LONG_PAUSES))
}

impl DayOfEvents {
    /// The pieces in the order of the table: events without a visitor by their time, then visitors, whose numbers are
    /// spread evenly.
    pub(super) fn pieces(&self) -> Vec<Piece> {
        let of_nobody = even(0..=self.last.saturating_sub(self.first).unsigned_abs(), self.anonymous);
        let of_nobody = of_nobody.map(|(from, to)| Piece {
            visitors: (0, 0),
            times: (self.first.saturating_add_unsigned(from), self.first.saturating_add_unsigned(to)),
        });
        let of_visitors = even(1..=u64::MAX, self.events - self.anonymous);
        let of_visitors = of_visitors.map(|visitors| Piece { visitors, times: (0, END_MS) });
        of_nobody.chain(of_visitors).collect()
    }
}

/// Even parts of the numbers for so many rows, first and last of each; none for no row.
fn even(numbers: std::ops::RangeInclusive<u64>, rows: u64) -> impl Iterator<Item = (u64, u64)> {
    let parts = u128::from(rows.div_ceil(PIECE_ROWS));
    let (first, last) = (*numbers.start(), *numbers.end());
    let all = u128::from(last - first) + 1;
    // Not more parts than numbers.
    let parts = parts.min(all);
    let at = move |n: u128| first + u64::try_from(all * n / parts.max(1)).unwrap_or(u64::MAX - first);
    (0..parts).map(move |n| (at(n), if n + 1 == parts { last } else { at(n + 1) - 1 }))
}

/// Puts the events of a piece into `lines` as JSON lines, in place of what was there.
pub(super) async fn read(
    db: &Db,
    (site, day): (SiteId, Day),
    piece: &Piece,
    lines: &mut Vec<u8>,
) -> Result<(), Error> {
    let query = db.query(include_str!("export.sql")).param("site", site).param("day", day.0);
    let query = query.param("first_visitor", piece.visitors.0).param("last_visitor", piece.visitors.1);
    let query = query.param("first_time", piece.times.0).param("last_time", piece.times.1);
    let query = query
        .with_setting("output_format_json_escape_forward_slashes", "0")
        .with_setting("output_format_parallel_formatting", "0")
        .with_setting("max_block_size", BLOCK_ROWS);
    // Taken out and put back, as the question may be asked several times.
    let room = Cell::new(std::mem::take(lines));
    *lines = asked(pauses(), async || {
        let mut lines = room.take();
        lines.clear();
        let mut cursor = query.clone().fetch_bytes("JSONEachRow")?;
        while let Some(bytes) = cursor.next().await? {
            lines.extend_from_slice(&bytes);
        }
        Ok(lines)
    })
    .await?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pieces_are_every_event_once_and_in_order() {
        for (events, anonymous, last) in [
            (0, 0, 0),
            (1, 0, 0),
            (1, 1, 0),
            (PIECE_ROWS, PIECE_ROWS, 86_400_000),
            (PIECE_ROWS + 1, PIECE_ROWS + 1, 86_400_000),
            (PIECE_ROWS * 7, PIECE_ROWS * 7, 3),
            (10_000_000, 3_000_000, 90_000_000),
        ] {
            let first = 1_790_000_000_000;
            let day = DayOfEvents { day: Day(1), events, anonymous, first, last: first + last };
            let pieces = day.pieces();
            let (nobody, visitors): (Vec<_>, Vec<_>) = pieces.iter().partition(|p| p.visitors == (0, 0));
            assert_eq!(
                pieces,
                [nobody.clone(), visitors.clone()].concat().into_iter().cloned().collect::<Vec<_>>()
            );
            assert_eq!(nobody.is_empty(), anonymous == 0, "{day:?}");
            assert_eq!(visitors.is_empty(), events == anonymous, "{day:?}");
            for (pieces, whole) in [
                (
                    nobody.iter().map(|p| (i128::from(p.times.0), i128::from(p.times.1))).collect::<Vec<_>>(),
                    (i128::from(first), i128::from(first + last)),
                ),
                (
                    visitors.iter().map(|p| (i128::from(p.visitors.0), i128::from(p.visitors.1))).collect(),
                    (1, i128::from(u64::MAX)),
                ),
            ] {
                if let (Some(begin), Some(end)) = (pieces.first(), pieces.last()) {
                    assert_eq!((begin.0, end.1), whole, "{day:?}");
                }
                assert!(pieces.iter().all(|(from, to)| from <= to), "{day:?}");
                assert!(pieces.windows(2).all(|pair| pair[0].1 + 1 == pair[1].0), "{day:?}: a gap or twice");
            }
        }
        assert_eq!(even(1..=u64::MAX, PIECE_ROWS).count(), 1);
        assert_eq!(even(1..=u64::MAX, PIECE_ROWS + 1).count(), 2);
    }
}
