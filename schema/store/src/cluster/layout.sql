-- What the server noted first.
SELECT shard, shards
FROM cluster_layout
ORDER BY noted
LIMIT 1
