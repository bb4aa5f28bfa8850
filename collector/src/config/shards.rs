//! `clickhouse.shards`: several ClickHouse servers.

use super::{ClickHouse, Wrong, first_wrong, is_url};

/// Maximum number of shards, and of replicas per shard.
pub const SERVERS_MAX: usize = 255;

impl ClickHouse {
    pub(super) fn check_shards(&self) -> Option<Wrong> {
        let Self { url, shards, cluster, .. } = self;
        let bad = shards.iter().flatten().find(|url| !is_url(url));
        let counts = std::iter::once(shards.len()).chain(shards.iter().map(Vec::len));
        let empty = shards.iter().any(Vec::is_empty);
        first_wrong([
            (
                "clickhouse.url",
                shards.is_empty() || url.is_none(),
                &url.as_deref().unwrap_or_default(),
                "set either clickhouse.url (also by SOTTO_CLICKHOUSE_URL) or clickhouse.shards",
            ),
            ("clickhouse.shards", !empty, &"[]", "each shard must list at least one server"),
            (
                "clickhouse.shards",
                bad.is_none(),
                &bad.map_or("", String::as_str),
                "it must be like [[\"http://a1:8123\", \"http://a2:8123\"], [\"http://b1:8123\"]]",
            ),
            (
                "clickhouse.shards",
                counts.max().unwrap_or(0) <= SERVERS_MAX,
                &shards.len(),
                "there may be at most 255 shards of at most 255 servers",
            ),
            (
                "clickhouse.cluster",
                shards.len() < 2 || cluster.is_some(),
                &"",
                "with several shards it must name the cluster of remote_servers that lists them in the same order",
            ),
        ])
    }
}
