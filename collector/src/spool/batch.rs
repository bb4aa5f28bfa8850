//! What is shipped together.

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
    /// The same for the same rows, and for no others: ClickHouse ignores a batch whose token it knows.
    pub token: String,
    pub(super) start: u64,
    pub(super) end: u64,
}
