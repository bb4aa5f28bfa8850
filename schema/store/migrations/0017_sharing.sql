-- Links by which somebody without an account reads the reports of a site. `id` is the blake3 hash of the link's secret,
-- `password` an argon2id hash or empty; a link without an end expires in the year 2100. Filters are as in addresses.
CREATE TABLE IF NOT EXISTS shared_links
(
    id FixedString(32),
    site UInt64,
    name String,
    password String,
    filters Array(String),
    goals UInt8,
    consent UInt8,
    hosts Array(String),
    created DateTime64(3, 'UTC'),
    expires DateTime64(3, 'UTC'),
    version UInt64,
    deleted UInt8
)
ENGINE = ReplacingMergeTree(version, deleted)
ORDER BY id
TTL toDateTime(expires);

-- The last day on which a link was used, in UTC, and nothing of who did.
CREATE TABLE IF NOT EXISTS shared_link_days
(
    id FixedString(32),
    day Date
)
ENGINE = ReplacingMergeTree(day)
ORDER BY id
TTL day + INTERVAL 13 MONTH;

-- Sites whose reports anybody may read; a row that is deleted, or none, stands for nobody.
CREATE TABLE IF NOT EXISTS public_sites
(
    site UInt64,
    version UInt64,
    deleted UInt8
)
ENGINE = ReplacingMergeTree(version, deleted)
ORDER BY site;
