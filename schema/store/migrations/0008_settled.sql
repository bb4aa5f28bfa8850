-- Settled days: what reports need of a day that is over, so that it is not put together from raw events again for every
-- report. What the tables mean, and when they are used, is said in schema/store/src/settled.rs.

-- How many raw events a day has, and the sum of their hashes, kept by ClickHouse with each part: tells in a few
-- milliseconds whether a day is still the one that was settled.
ALTER TABLE events ADD PROJECTION IF NOT EXISTS fingerprint
(
    SELECT site, day, count(), sum(cityHash64(time, kind, visitor, session, view, seq, path)) GROUP BY site, day
);
ALTER TABLE events MATERIALIZE PROJECTION IF EXISTS fingerprint;

-- Which days are settled, from which raw events. A settling writes its rows under a number of its own and becomes visible
-- with its line here.
CREATE TABLE IF NOT EXISTS settled_days
(
    site UInt64,
    day Date,
    settling UInt64,
    rows UInt64,
    fingerprint UInt64,
    time_zone LowCardinality(String)
)
ENGINE = MergeTree
ORDER BY (site, day, settling);

-- One row per visit.
CREATE TABLE IF NOT EXISTS settled_visits
(
    site UInt64,
    day Date,
    settling UInt64,
    visitor UInt64,
    session UInt64,
    alone Bool,
    hour DateTime('UTC'),
    hostname LowCardinality(String),
    entry_page LowCardinality(String),
    exit_page LowCardinality(String),
    source LowCardinality(String),
    channel LowCardinality(String),
    referrer LowCardinality(String),
    utm_source LowCardinality(String),
    utm_medium LowCardinality(String),
    utm_campaign LowCardinality(String),
    utm_content LowCardinality(String),
    utm_term LowCardinality(String),
    click_id LowCardinality(String),
    country LowCardinality(String),
    region LowCardinality(String),
    city LowCardinality(String),
    network LowCardinality(String),
    network_kind LowCardinality(String),
    device LowCardinality(String),
    browser LowCardinality(String),
    browser_version LowCardinality(String),
    os LowCardinality(String),
    os_version LowCardinality(String),
    screen LowCardinality(String),
    language LowCardinality(String),
    views UInt32,
    events UInt32,
    bounced Bool,
    engaged UInt32,
    pages Array(LowCardinality(String)) CODEC(ZSTD(1))
)
ENGINE = MergeTree
PARTITION BY toYYYYMM(day)
ORDER BY (site, day, settling, visitor, session);

-- One row per visit, hour, host name, page, event and consent, with the values of its visit; and of anonymous hits one row per
-- combination of all fields.
CREATE TABLE IF NOT EXISTS settled_pages
(
    site UInt64,
    day Date,
    settling UInt64,
    visitor UInt64,
    session UInt64,
    alone Bool,
    firsts UInt8,
    hour DateTime('UTC'),
    hostname LowCardinality(String),
    page LowCardinality(String),
    event LowCardinality(String),
    entry_page LowCardinality(String),
    exit_page LowCardinality(String),
    source LowCardinality(String),
    channel LowCardinality(String),
    referrer LowCardinality(String),
    utm_source LowCardinality(String),
    utm_medium LowCardinality(String),
    utm_campaign LowCardinality(String),
    country LowCardinality(String),
    region LowCardinality(String),
    city LowCardinality(String),
    device LowCardinality(String),
    browser LowCardinality(String),
    os LowCardinality(String),
    screen LowCardinality(String),
    language LowCardinality(String),
    consent UInt8,
    views UInt32,
    events UInt32,
    engaged UInt32,
    scroll UInt8
)
ENGINE = MergeTree
PARTITION BY toYYYYMM(day)
ORDER BY (site, day, settling, visitor, session);

-- Figures of a day by dimension and value.
CREATE TABLE IF NOT EXISTS settled_cells
(
    site UInt64,
    day Date,
    settling UInt64,
    dimension LowCardinality(String),
    value LowCardinality(String),
    visitors UInt32,
    visits UInt32,
    pageviews UInt32,
    measured_views UInt32,
    events UInt32,
    entries UInt32,
    bounces UInt32,
    engaged UInt64
)
ENGINE = MergeTree
PARTITION BY toYYYYMM(day)
ORDER BY (site, dimension, day, settling, value);
