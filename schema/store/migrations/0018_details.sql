-- What visits did and what was measured of them beyond pages, of settled days: events with their props and worth, clicks, and web
-- vitals. How far a page was read, by page visit. What the columns mean is said in schema/store/src/settled.rs; days that
-- were settled before are settled again.
--
-- kind   as in `events`: custom, click or vitals; the rows of one kind lie together
-- depth  the deepest scroll position of the visit on the page, in per cent, in the first row of the two; 0 in others
CREATE TABLE IF NOT EXISTS settled_details
(
    site UInt64,
    kind LowCardinality(String),
    day Date,
    settling UInt64,
    visitor UInt64,
    session UInt64,
    hostname LowCardinality(String),
    page LowCardinality(String),
    event LowCardinality(String),
    outbound LowCardinality(String),
    download LowCardinality(String),
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
    props Map(LowCardinality(String), String) CODEC(ZSTD(1)),
    revenue Decimal(18, 4),
    currency LowCardinality(String),
    lcp_ms UInt32,
    fcp_ms UInt32,
    inp_ms UInt32,
    ttfb_ms UInt32,
    cls_milli UInt32,
    click_path Array(LowCardinality(String)) CODEC(ZSTD(1))
)
ENGINE = MergeTree
PARTITION BY toYYYYMM(day)
ORDER BY (site, kind, day, settling, visitor, session)
SETTINGS old_parts_lifetime = 4, fsync_part_directory = 1, min_rows_to_fsync_after_merge = 1, min_compressed_bytes_to_fsync_after_merge = 1;
ALTER TABLE settled_page_visits ADD COLUMN IF NOT EXISTS depth UInt8;
TRUNCATE TABLE IF EXISTS settled_days;
TRUNCATE TABLE IF EXISTS settled_visits;
TRUNCATE TABLE IF EXISTS settled_page_visits;
TRUNCATE TABLE IF EXISTS settled_cells;
TRUNCATE TABLE IF EXISTS settled_months;
