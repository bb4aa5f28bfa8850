-- The pages and events of visits in the order of their moments, for paths and funnels; the column of pages alone, which no
-- report read, goes. What was settled before is settled again from raw events.
ALTER TABLE settled_visits ADD COLUMN IF NOT EXISTS steps Array(LowCardinality(String)) CODEC(ZSTD(1)) AFTER engaged;
ALTER TABLE settled_visits DROP COLUMN IF EXISTS pages;
TRUNCATE TABLE IF EXISTS settled_days;
TRUNCATE TABLE IF EXISTS settled_visits;
TRUNCATE TABLE IF EXISTS settled_page_visits;
TRUNCATE TABLE IF EXISTS settled_cells;
TRUNCATE TABLE IF EXISTS settled_months;

-- Funnels: the steps of each in order, each a page or an event.
CREATE TABLE IF NOT EXISTS funnels
(
    id UInt64,
    site UInt64,
    name String,
    strict Bool,
    kinds Array(Enum8('page' = 1, 'event' = 2)),
    patterns Array(String),
    created DateTime64(3, 'UTC'),
    version UInt64,
    deleted UInt8
)
ENGINE = ReplacingMergeTree(version, deleted)
ORDER BY (site, id);
