-- For reports: a table over all shards. The sharding key matches db::shard_of.
CREATE OR REPLACE TABLE {all:Identifier}.{table:Identifier}
ENGINE = Distributed({cluster:String}, {database:String}, {table:String}, bitShiftRight(site, 1))
EMPTY AS SELECT * FROM {database:Identifier}.{table:Identifier}
