//! What ClickHouse was sent and did not acknowledge.

use std::{collections::BTreeMap, sync::Mutex};

use sotto_store::ledger::Line;

use crate::metrics::Count;

/// Counts that are stored together.
#[derive(Debug, Clone)]
pub(crate) struct OutcomeBatch {
    /// By which ClickHouse knows it when it comes again.
    pub(crate) token: String,
    pub(crate) counts: Vec<Count>,
}

/// What was sent and not acknowledged. ClickHouse may have it, so it is sent again as it was, before anything newer.
/// Kept outside of the job, so that it outlives it.
#[derive(Debug, Default)]
pub struct Unacknowledged {
    /// By shard.
    pub(crate) outcomes: Mutex<BTreeMap<usize, OutcomeBatch>>,
    pub(crate) ledger: Mutex<Vec<Line>>,
}
