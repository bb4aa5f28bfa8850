-- Categories of consent managers that no mapping knows: how often the script reported each, by the site's day. Bounded
-- by the collector; no visitor, no receipt, no time of day.
CREATE TABLE IF NOT EXISTS consent_unmapped
(
    site UInt64,
    day Date,
    source LowCardinality(String),
    category String,
    times UInt64
)
ENGINE = SummingMergeTree(times)
ORDER BY (site, day, source, category)
TTL day + INTERVAL 400 DAY
SETTINGS non_replicated_deduplication_window = 1000;
