//! Finds the way back behind damage: the next whole frame, and which record it is.
//!
//! A frame does not say its sequence number, but its sum does: it is right for one number only. How many records are
//! missing is therefore known exactly, and no two of them can be taken for each other.

use std::{ops::Range, path::PathBuf};

use super::frame::{crc, decode_frame, frame_len, framed};

/// Damage of more records than this ends a segment: finding the way back would take too long.
pub(super) const RECORDS_MAX: u64 = 1 << 14;
/// Damage of at most this many records is believed to end where a sum is right. Beyond it many numbers are tried, and
/// one of them could be right by chance: the next frame, or the end of the file, has to agree.
const ALONE_MAX: u64 = 8;
/// The shortest frame.
const FRAME_BYTES_MIN: usize = frame_len(1);
const SUM_BITS: usize = 32;

/// A place in a segment where no whole frame is.
pub(super) struct Lost {
    pub(super) salt: u64,
    /// Sequence number of the record that should be there.
    pub(super) next: u64,
    /// The record looked for is below this.
    pub(super) end: u64,
    /// How many bytes were already looked through.
    pub(super) skipped: usize,
    /// Whether what is looked through goes to the end of the file.
    pub(super) is_last: bool,
}

/// What is known of damage in a spool since the start.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Damage {
    /// Places that could not be read.
    pub places: u64,
    /// Records that were there.
    pub records: u64,
}

/// Records that cannot be read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Gap {
    pub(super) path: PathBuf,
    pub(super) offset: u64,
    pub(super) records: Range<u64>,
}

impl Lost {
    /// Where the first whole frame begins among the first `judged` bytes, and its sequence number.
    pub(super) fn find(&self, bytes: &[u8], judged: usize) -> Option<(usize, u64)> {
        (0..judged).find_map(|at| Some((at, self.sequence(bytes, at)?)))
    }

    /// The sequence number of the frame at `at`, if there is a whole one.
    fn sequence(&self, bytes: &[u8], at: usize) -> Option<u64> {
        let (payload, sum) = framed(&bytes[at..])?;
        // More records do not fit into the bytes that were passed over.
        let fit = ((self.skipped + at) / FRAME_BYTES_MIN) as u64;
        let lost_max = fit.min(RECORDS_MAX).min(self.end.checked_sub(self.next + 1)?);
        let sequence = sequence_by_sum(self.salt, self.next, lost_max, payload, sum)?;
        let after = at + frame_len(payload.len());
        let is_sure = sequence - self.next <= ALONE_MAX
            || (self.is_last && after == bytes.len())
            || decode_frame(self.salt, sequence + 1, &bytes[after..]).is_some();
        is_sure.then_some(sequence)
    }
}

/// Which of the records from `next` to `next + lost_max` has this payload and sum.
///
/// A sum is linear: what another sequence number changes in it depends on the payload's length only, and is the xor of
/// what each of its bits changes. So the payload is read once and not once per number.
fn sequence_by_sum(salt: u64, next: u64, lost_max: u64, payload: &[u8], sum: u32) -> Option<u64> {
    let wanted = sum ^ crc(salt, next, payload);
    let mut moved = [0; SUM_BITS];
    for (bit, moved) in moved.iter_mut().enumerate() {
        *moved = crc32c::crc32c_combine(1 << bit, 0, payload.len());
    }
    let start = crc(salt, next, &[]);
    (next..=next + lost_max).find(|sequence| {
        let mut changed = start ^ crc(salt, *sequence, &[]);
        let mut seen = 0;
        while changed != 0 {
            seen ^= moved[changed.trailing_zeros() as usize];
            changed &= changed - 1;
        }
        seen == wanted
    })
}

#[cfg(test)]
mod tests {
    use super::{super::frame::encode_frame, *};

    const SALT: u64 = 42;

    fn frames(sequences: std::ops::Range<u64>) -> Vec<u8> {
        let mut bytes = Vec::new();
        sequences.for_each(|n| encode_frame(SALT, n, &[n as u8; 1], &mut bytes));
        bytes
    }

    fn lost(end: u64) -> Lost {
        Lost { salt: SALT, next: 100, end, skipped: 0, is_last: true }
    }

    #[test]
    fn damage_of_as_many_records_as_may_be_is_passed_and_of_one_more_is_not() {
        for (records, found) in [(RECORDS_MAX, true), (RECORDS_MAX + 1, false)] {
            let after = frames(100 + records..100 + records + 2);
            let damaged = records as usize * FRAME_BYTES_MIN;
            let bytes = [vec![0xff; damaged], after].concat();
            let expected = found.then_some((damaged, 100 + records));
            assert_eq!(lost(u64::MAX).find(&bytes, bytes.len()), expected, "{records} records");
        }
    }

    #[test]
    fn frame_far_behind_damage_is_believed_when_the_next_one_agrees() {
        for (records, torn, found) in
            [(ALONE_MAX, true, true), (ALONE_MAX + 1, true, false), (ALONE_MAX + 1, false, true)]
        {
            let damaged = records as usize * FRAME_BYTES_MIN;
            let mut bytes = [vec![0xff; damaged], frames(100 + records..101 + records)].concat();
            bytes.extend(torn.then_some(0xff));
            let expected = found.then_some((damaged, 100 + records));
            assert_eq!(lost(u64::MAX).find(&bytes, bytes.len()), expected, "{records} records");
        }
    }

    #[test]
    fn record_is_below_the_end_and_its_predecessors_fit_into_what_was_passed() {
        let bytes = [vec![0xff; FRAME_BYTES_MIN], frames(101..102)].concat();
        assert_eq!(lost(102).find(&bytes, bytes.len()), Some((FRAME_BYTES_MIN, 101)));
        assert_eq!(lost(101).find(&bytes, bytes.len()), None);
        assert_eq!(lost(100).find(&bytes, bytes.len()), None);
        assert_eq!(lost(102).find(&bytes[1..], bytes.len() - 1), None);
    }

    proptest::proptest! {
        #[test]
        fn sum_tells_the_sequence_number(
            salt: u64, next in 1..u64::MAX / 2, ahead in 0..300u64,
            payload in proptest::collection::vec(proptest::prelude::any::<u8>(), 1..300),
        ) {
            let sum = crc(salt, next + ahead, &payload);
            proptest::prop_assert_eq!(sequence_by_sum(salt, next, 299, &payload, sum), Some(next + ahead));
            if let Some(before) = ahead.checked_sub(1) {
                proptest::prop_assert_eq!(sequence_by_sum(salt, next, before, &payload, sum), None);
            }
        }
    }
}
