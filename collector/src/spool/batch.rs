//! A batch of records to ship.

use bytes::Bytes;

/// Records that are shipped together. Made again from the same sequence numbers, it is byte-identical.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Batch {
    /// The rows in RowBinary, one after the other.
    pub rows: Bytes,
    /// How many rows.
    pub count: u64,
    /// Column names of the rows.
    pub columns: String,
    /// Unique to these rows: ClickHouse ignores a batch whose token it has already seen.
    pub token: String,
    pub(super) start: u64,
    pub(super) end: u64,
}
