-- Webhooks. `sealed` is the address and the secret that signs, under the account key; `host` is for lists.
CREATE TABLE IF NOT EXISTS hooks
(
    site UInt64,
    id UInt64,
    host String,
    kinds Array(String),
    format LowCardinality(String),
    sealed String,
    made_by UInt64,
    created DateTime64(3, 'UTC'),
    version UInt64,
    deleted UInt8
)
ENGINE = ReplacingMergeTree(version, deleted)
ORDER BY (site, id);

-- What was told to webhooks: one row for each attempt, written before it and again after it. `code` is the status of the
-- answer, 0 where there was none.
CREATE TABLE IF NOT EXISTS hook_deliveries
(
    site UInt64,
    hook UInt64,
    kind LowCardinality(String),
    period String,
    attempt UInt8,
    state LowCardinality(String),
    code UInt16,
    time DateTime64(3, 'UTC'),
    version UInt64
)
ENGINE = ReplacingMergeTree(version)
ORDER BY (site, hook, kind, period, attempt)
TTL toDateTime(time) + INTERVAL 13 MONTH;
