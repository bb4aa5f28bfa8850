-- For reports: a table of the first shard, unchanged.
CREATE OR REPLACE TABLE {all:Identifier}.{table:Identifier}
ENGINE = Merge({database:String}, {tables:String})
EMPTY AS SELECT * FROM {database:Identifier}.{table:Identifier}
