-- Marks the rows of a site as deleted; the daily rewriting of the accounts removes them.
INSERT INTO {table:Identifier}
SELECT * REPLACE ({version:UInt64} AS version, 1 AS deleted) FROM {table:Identifier} FINAL WHERE site = {site:UInt64}
