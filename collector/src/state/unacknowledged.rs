//! What was sent to ClickHouse and not acknowledged.

use std::{
    collections::BTreeMap,
    sync::{Mutex, atomic::AtomicBool},
};

use sotto_store::ledger::Line;

use crate::metrics::Count;

/// Counts that are stored together.
#[derive(Debug, Clone)]
pub(crate) struct OutcomeBatch {
    /// Deduplication token: ClickHouse recognises a retry by it.
    pub(crate) token: String,
    pub(crate) counts: Vec<Count>,
}

/// What was sent and not acknowledged. ClickHouse may have it, so it is sent again unchanged, before anything
/// newer. Kept outside the job so that it survives the job's restart.
#[derive(Debug, Default)]
pub struct Unacknowledged {
    /// By shard.
    pub(crate) outcomes: Mutex<BTreeMap<usize, OutcomeBatch>>,
    pub(crate) ledger: Mutex<Vec<Line>>,
    /// Whether the ledger was told what happened to salts before this run.
    pub(crate) looked_back: AtomicBool,
}
