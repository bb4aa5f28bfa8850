-- The day that is not over is settled up to an hour, so that a report puts together only what came after it. What the
-- columns mean, and when they are used, is said in schema/store/src/settled.rs.

-- The fingerprint of raw events by hour: tells whether an hour, and a day, still is what was settled.
ALTER TABLE events DROP PROJECTION IF EXISTS fingerprint;
ALTER TABLE events ADD PROJECTION IF NOT EXISTS fingerprints
(
    SELECT site, day, toStartOfHour(time), count(), sum(cityHash64(time, kind, visitor, session, view, seq, path))
    GROUP BY site, day, toStartOfHour(time)
);
-- In the background: until it is done, fingerprints are made from raw events.
ALTER TABLE events MATERIALIZE PROJECTION IF EXISTS fingerprints SETTINGS mutations_sync = 0;

-- Figures of months that are over, as those of days: two years are read as quickly as a month.
CREATE TABLE IF NOT EXISTS settled_months
(
    site UInt64,
    day Date,
    settling UInt64,
    dimension LowCardinality(String),
    value LowCardinality(String),
    visitors UInt64,
    visits UInt64,
    pageviews UInt64,
    measured_views UInt64,
    events UInt64,
    entries UInt64,
    bounces UInt64,
    engaged UInt64
)
ENGINE = MergeTree
ORDER BY (site, dimension, day, settling, value);
ALTER TABLE settled_days ADD COLUMN IF NOT EXISTS month Bool;

-- The hour up to which a day was settled; 1970 stands for all of it.
ALTER TABLE settled_days ADD COLUMN IF NOT EXISTS until DateTime('UTC');

-- What a visit saw, one element per hit, so that a filter on pages, host names and events reads visits only. Visits that
-- were settled before are settled again.
ALTER TABLE settled_visits ADD COLUMN IF NOT EXISTS seen_page Array(LowCardinality(String)) CODEC(ZSTD(1));
ALTER TABLE settled_visits ADD COLUMN IF NOT EXISTS seen_hostname Array(LowCardinality(String)) CODEC(ZSTD(1));
ALTER TABLE settled_visits ADD COLUMN IF NOT EXISTS seen_event Array(LowCardinality(String)) CODEC(ZSTD(1));
ALTER TABLE settled_visits ADD COLUMN IF NOT EXISTS seen_views Array(UInt8) CODEC(ZSTD(1));
ALTER TABLE settled_visits ADD COLUMN IF NOT EXISTS seen_events Array(UInt8) CODEC(ZSTD(1));
TRUNCATE TABLE IF EXISTS settled_days;
TRUNCATE TABLE IF EXISTS settled_visits;
TRUNCATE TABLE IF EXISTS settled_pages;
TRUNCATE TABLE IF EXISTS settled_cells;
