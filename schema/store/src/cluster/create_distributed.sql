-- A table of all shards, for reports. The key is how db::shard_of chooses the shard of a site.
CREATE OR REPLACE TABLE {all:Identifier}.{table:Identifier}
ENGINE = Distributed({cluster:String}, {database:String}, {table:String}, bitShiftRight(site, 1))
EMPTY AS SELECT * FROM {database:Identifier}.{table:Identifier}
