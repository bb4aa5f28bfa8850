//! Records that are appended together.

use super::{
    frame::{self, RECORD_BYTES_MAX},
    known::Key,
};

/// Records appended together, in order; all or none of them are acknowledged.
#[derive(Debug, Default)]
pub struct Append {
    pub(super) bytes: Vec<u8>,
    records: Vec<Record>,
}

/// A record among those that are appended together.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Ticket(pub(super) usize);

/// Which of the records appended together were already durable and so not kept twice.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Repeats(pub(super) Vec<Ticket>);

impl Repeats {
    /// No record was.
    pub const NONE: Self = Self(Vec::new());

    /// Whether this record was.
    pub fn contains(&self, ticket: Ticket) -> bool {
        self.0.binary_search(&ticket).is_ok()
    }
}

#[derive(Debug, Clone, Copy)]
struct Record {
    end: usize,
    key: Option<Key>,
}

impl Append {
    /// Adds a record, written by `encode` into the buffer it is given. An empty or oversized record is left
    /// out and `None` returned. With a key, it is kept only if no record with that key is durable yet; look
    /// the ticket up in [`Repeats`].
    pub fn record(&mut self, key: Option<Key>, encode: impl FnOnce(&mut Vec<u8>)) -> Option<Ticket> {
        let start = self.bytes.len();
        encode(&mut self.bytes);
        let fits = (1..=RECORD_BYTES_MAX).contains(&(self.bytes.len() - start));
        if !fits {
            self.bytes.truncate(start);
            return None;
        }
        self.records.push(Record { end: self.bytes.len(), key });
        Some(Ticket(self.records.len() - 1))
    }

    /// Adds all records of another.
    pub fn extend(&mut self, other: &Self) {
        let start = self.bytes.len();
        self.bytes.extend_from_slice(&other.bytes);
        self.records.extend(other.records.iter().map(|r| Record { end: start + r.end, ..*r }));
    }

    /// How many records there are.
    pub fn len(&self) -> usize {
        self.records.len()
    }

    /// Whether there is nothing to append.
    pub fn is_empty(&self) -> bool {
        self.records.is_empty()
    }

    /// How many bytes of a segment the records take.
    pub fn disk_bytes(&self) -> u64 {
        self.records().map(|(_, record)| frame::frame_len(record.len()) as u64).sum()
    }

    /// Keys and bytes, in order.
    pub(super) fn records(&self) -> impl Iterator<Item = (Option<Key>, &[u8])> {
        let starts = std::iter::once(0).chain(self.records.iter().map(|r| r.end));
        starts.zip(&self.records).map(|(start, r)| (r.key, &self.bytes[start..r.end]))
    }
}
