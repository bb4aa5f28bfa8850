-- A table of the first shard, for reports: as it is there.
CREATE OR REPLACE TABLE {all:Identifier}.{table:Identifier}
ENGINE = Merge({database:String}, {tables:String})
EMPTY AS SELECT * FROM {database:Identifier}.{table:Identifier}
