-- Raw events: one row per stored hit, columns as in datamap.toml.
-- Order: a site's day first (every report asks for both), then visitor and session, so that a session's rows lie
-- together and compress well.
-- Partition: by the week in which rows expire, not in which they were made: sites with different retention share
-- the table, and a whole partition can be dropped when its week is over.
-- Deduplication window: a batch that is sent again with its token is ignored, also after a restart.
CREATE TABLE IF NOT EXISTS events
(
    site UInt64,
    day Date,
    expires Date,
    time DateTime64(3, 'UTC') CODEC(Delta(8), ZSTD(1)),
    kind Enum8('pageview' = 0, 'engagement' = 1, 'custom' = 2, 'vitals' = 3, 'click' = 4, 'consent' = 5),
    tier Enum8('full' = 0, 'minimal' = 1),
    granted UInt8,
    refused UInt8,
    gpc Bool,
    hostname LowCardinality(String),
    path String CODEC(ZSTD(1)),
    referrer_host LowCardinality(String),
    country LowCardinality(String),
    device Enum8('unknown' = 0, 'desktop' = 1, 'mobile' = 2, 'tablet' = 3, 'tv' = 4, 'console' = 5, 'wearable' = 6, 'car' = 7),
    visitor UInt64,
    session UInt64,
    view UInt64,
    seq UInt32,
    source LowCardinality(String),
    referrer_path String CODEC(ZSTD(1)),
    region LowCardinality(String),
    city LowCardinality(String),
    asn UInt32,
    network LowCardinality(String),
    network_kind Enum8('unknown' = 0, 'consumer' = 1, 'hosting' = 2),
    browser LowCardinality(String),
    browser_version LowCardinality(String),
    os LowCardinality(String),
    os_version LowCardinality(String),
    screen Enum8('unknown' = 0, 'xs' = 1, 'sm' = 2, 'md' = 3, 'lg' = 4, 'xl' = 5),
    engaged_ms UInt32,
    scroll UInt8,
    name LowCardinality(String),
    interactive Bool,
    props Map(LowCardinality(String), String) CODEC(ZSTD(1)),
    revenue Decimal(18, 4),
    currency LowCardinality(String),
    lcp_ms UInt32,
    fcp_ms UInt32,
    inp_ms UInt32,
    ttfb_ms UInt32,
    cls_milli UInt32,
    click_path Array(String) CODEC(ZSTD(1)),
    click_at Array(UInt32) CODEC(ZSTD(1)),
    language LowCardinality(String),
    channel LowCardinality(String),
    utm_source LowCardinality(String),
    utm_medium LowCardinality(String),
    utm_campaign LowCardinality(String),
    utm_content LowCardinality(String),
    utm_term LowCardinality(String),
    click_id LowCardinality(String),
    receipt String,
    notice_version LowCardinality(String),
    consent_source LowCardinality(String)
)
ENGINE = MergeTree
PARTITION BY toMonday(expires)
ORDER BY (site, day, visitor, session, time)
SETTINGS non_replicated_deduplication_window = 10000;

-- How many hits ended in which outcome, per site and hour: also those that were dropped.
CREATE TABLE IF NOT EXISTS outcomes
(
    site UInt64,
    hour DateTime('UTC'),
    outcome LowCardinality(String),
    reason LowCardinality(String),
    hits UInt64
)
ENGINE = SummingMergeTree(hits)
PARTITION BY toYYYYMM(hour)
ORDER BY (site, hour, outcome, reason)
SETTINGS non_replicated_deduplication_window = 1000;

-- Consent receipts: what was decided, when, under which version, without anything that could tell who it was. A row
-- a decision that carries a receipt; kept by its own rule, longer than events, as proof (GDPR Art. 7 (1)).
CREATE TABLE IF NOT EXISTS consent_receipts
(
    site UInt64,
    receipt String,
    time DateTime64(3, 'UTC'),
    granted UInt8,
    refused UInt8,
    gpc Bool,
    notice_version LowCardinality(String),
    consent_source LowCardinality(String)
)
ENGINE = MergeTree
PARTITION BY toYYYYMM(time)
ORDER BY (site, receipt, time)
SETTINGS non_replicated_deduplication_window = 10000;

CREATE MATERIALIZED VIEW IF NOT EXISTS consent_receipts_view TO consent_receipts AS
SELECT site, receipt, time, granted, refused, gpc, notice_version, consent_source
FROM events
WHERE kind = 'consent' AND receipt != '';
