-- Who gets mail about a site: members, by their number. The address is that of their account and is not here.
CREATE TABLE IF NOT EXISTS subscriptions
(
    site UInt64,
    user UInt64,
    kind LowCardinality(String),
    made_by UInt64,
    created DateTime64(3, 'UTC'),
    version UInt64,
    deleted UInt8
)
ENGINE = ReplacingMergeTree(version, deleted)
ORDER BY (site, user, kind);

-- Letters, and what became of them: one row for each attempt, written before it and again after it. `secret` is the blake3
-- hash of the link in the letter that ends its subscription; it works as long as the row is there.
CREATE TABLE IF NOT EXISTS mail_deliveries
(
    site UInt64,
    user UInt64,
    kind LowCardinality(String),
    period String,
    attempt UInt8,
    state LowCardinality(String),
    secret FixedString(32),
    time DateTime64(3, 'UTC'),
    version UInt64
)
ENGINE = ReplacingMergeTree(version)
ORDER BY (site, user, kind, period, attempt)
TTL toDateTime(time) + INTERVAL 13 MONTH;
