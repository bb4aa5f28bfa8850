-- The archive: anonymous counts that stay for ever. What the tables mean, and why nobody can be singled out, is said
-- in collector/src/archive.rs.
ALTER TABLE sites ADD COLUMN IF NOT EXISTS archive_k UInt8 DEFAULT 5;

-- What is sealed. A seal writes its rows under a number of its own and becomes visible with its line here, at once
-- and as a whole; of two seals of one period the one that was written first counts.
CREATE TABLE IF NOT EXISTS archive_seals
(
    site UInt64,
    period Enum8('day' = 1, 'month' = 2),
    day Date,
    seal UInt64,
    k UInt8,
    rows UInt64,
    sealed DateTime64(3, 'UTC')
)
ENGINE = MergeTree
ORDER BY (site, period, day, seal);

-- Totals of a day, exact: of the site (dimension '') and of each dimension. Under a month's seal: events that came
-- after their day was sealed.
CREATE TABLE IF NOT EXISTS archive_totals
(
    site UInt64,
    seal UInt64,
    day Date,
    dimension LowCardinality(String),
    heads UInt64,
    visitors UInt64,
    visits UInt64,
    pageviews UInt64,
    measured_views UInt64,
    events UInt64,
    entries UInt64,
    bounces UInt64,
    engaged_ms UInt64
)
ENGINE = MergeTree
ORDER BY (site, day, dimension, seal);

-- Leaves: cells that describe at least k visitors. `day` is 1970-01-01 in a leaf that spans the month. `path` goes
-- from coarse to fine and is cut where the leaf was folded; empty is the month's remainder.
CREATE TABLE IF NOT EXISTS archive_leaves
(
    site UInt64,
    seal UInt64,
    dimension LowCardinality(String),
    month Date,
    day Date,
    path Array(String) CODEC(ZSTD(1)),
    people UInt64,
    heads UInt64,
    visitors UInt64,
    visits UInt64,
    pageviews UInt64,
    measured_views UInt64,
    events UInt64,
    entries UInt64,
    bounces UInt64,
    engaged_ms UInt64
)
ENGINE = MergeTree
ORDER BY (site, dimension, month, day, seal, path);

-- Cells of sealed days that wait for their month; nobody reads them but the month's seal, which drops the partition.
CREATE TABLE IF NOT EXISTS archive_waiting
(
    site UInt64,
    seal UInt64,
    dimension LowCardinality(String),
    month Date,
    day Date,
    path Array(String) CODEC(ZSTD(1)),
    leaf Bool,
    heads UInt64,
    visitors UInt64,
    visits UInt64,
    pageviews UInt64,
    measured_views UInt64,
    events UInt64,
    entries UInt64,
    bounces UInt64,
    engaged_ms UInt64
)
ENGINE = MergeTree
PARTITION BY (site, month)
ORDER BY (seal, dimension, path);

-- Cells of the slices of visitors in which a day is counted, while it is being sealed; no keys of visitors.
CREATE TABLE IF NOT EXISTS archive_slices
(
    seal UInt64,
    dimension LowCardinality(String),
    path Array(String) CODEC(ZSTD(1)),
    heads UInt64,
    visitors UInt64,
    visits UInt64,
    pageviews UInt64,
    measured_views UInt64,
    events UInt64,
    entries UInt64,
    bounces UInt64,
    engaged_ms UInt64
)
ENGINE = MergeTree
PARTITION BY seal
ORDER BY (dimension, path);
