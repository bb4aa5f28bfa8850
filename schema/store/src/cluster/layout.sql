-- What the server recorded first.
SELECT shard, shards
FROM cluster_layout
ORDER BY noted
LIMIT 1
