INSERT INTO cluster_layout (shard, shards) VALUES ({shard:UInt32}, {shards:UInt32})
