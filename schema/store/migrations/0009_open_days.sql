-- The day that is not over is settled up to an hour, so that a report puts together only what came after it. What the
-- columns mean, and when they are used, is said in schema/store/src/settled.rs.

-- The fingerprint of raw events by hour: tells whether an hour, and a day, still is what was settled.
ALTER TABLE events DROP PROJECTION IF EXISTS fingerprint;
ALTER TABLE events ADD PROJECTION IF NOT EXISTS fingerprints
(
    SELECT site, day, toStartOfHour(time), count(), sum(cityHash64(time, kind, visitor, session, view, seq, path))
    GROUP BY site, day, toStartOfHour(time)
);
ALTER TABLE events MATERIALIZE PROJECTION IF EXISTS fingerprints;

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
