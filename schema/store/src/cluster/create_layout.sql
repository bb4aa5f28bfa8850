-- Which shard of how many a server is; one row.
CREATE TABLE IF NOT EXISTS cluster_layout
(
    shard UInt32,
    shards UInt32,
    noted DateTime64(3, 'UTC') DEFAULT now64(3)
)
ENGINE = MergeTree
ORDER BY noted
