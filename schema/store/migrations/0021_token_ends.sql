-- When a token expires; a token without an end does so in the year 2100.
ALTER TABLE tokens ADD COLUMN IF NOT EXISTS expires DateTime64(3, 'UTC') DEFAULT toDateTime64('2100-01-01 00:00:00', 3, 'UTC');

ALTER TABLE tokens MODIFY TTL toDateTime(expires);

-- The last day on which a token was used, in UTC, and nothing of what for.
CREATE TABLE IF NOT EXISTS token_days
(
    id UInt64,
    day Date
)
ENGINE = ReplacingMergeTree(day)
ORDER BY id
TTL day + INTERVAL 13 MONTH;
