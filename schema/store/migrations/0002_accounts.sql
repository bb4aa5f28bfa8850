-- What people who run Sotto set up. Every change is a new row; FINAL reads the newest (ReplacingMergeTree), so a
-- change survives a crash or is not there at all. `deleted` rows stay until merges remove them.
CREATE TABLE IF NOT EXISTS sites
(
    id UInt64,
    key String,
    name String,
    hostnames Array(String),
    time_zone LowCardinality(String),
    preset LowCardinality(String),
    policy String,
    retention_days UInt16,
    created DateTime64(3, 'UTC'),
    version UInt64,
    deleted UInt8
)
ENGINE = ReplacingMergeTree(version, deleted)
ORDER BY id
SETTINGS non_replicated_deduplication_window = 100;

CREATE TABLE IF NOT EXISTS users
(
    id UInt64,
    email String,
    name String,
    password String,
    totp String,
    created DateTime64(3, 'UTC'),
    version UInt64,
    deleted UInt8
)
ENGINE = ReplacingMergeTree(version, deleted)
ORDER BY id;

-- site = 0 stands for all sites.
CREATE TABLE IF NOT EXISTS members
(
    user UInt64,
    site UInt64,
    role Enum8('viewer' = 1, 'editor' = 2, 'owner' = 3),
    version UInt64,
    deleted UInt8
)
ENGINE = ReplacingMergeTree(version, deleted)
ORDER BY (user, site);

-- Signed-in browsers. id is the blake3 hash of the cookie's value.
CREATE TABLE IF NOT EXISTS sign_ins
(
    id FixedString(32),
    user UInt64,
    created DateTime64(3, 'UTC'),
    expires DateTime64(3, 'UTC'),
    version UInt64,
    deleted UInt8
)
ENGINE = ReplacingMergeTree(version, deleted)
ORDER BY id
TTL toDateTime(expires) + INTERVAL 1 DAY;

-- API tokens. hash is the blake3 hash of the token; site = 0 stands for all sites.
CREATE TABLE IF NOT EXISTS tokens
(
    id UInt64,
    hash FixedString(32),
    name String,
    site UInt64,
    scope Enum8('read' = 1, 'write' = 2),
    created DateTime64(3, 'UTC'),
    version UInt64,
    deleted UInt8
)
ENGINE = ReplacingMergeTree(version, deleted)
ORDER BY id;

CREATE TABLE IF NOT EXISTS goals
(
    id UInt64,
    site UInt64,
    name String,
    kind Enum8('page' = 1, 'event' = 2),
    pattern String,
    created DateTime64(3, 'UTC'),
    version UInt64,
    deleted UInt8
)
ENGINE = ReplacingMergeTree(version, deleted)
ORDER BY (site, id);

CREATE TABLE IF NOT EXISTS audit_log
(
    time DateTime64(3, 'UTC'),
    actor UInt64,
    action LowCardinality(String),
    site UInt64,
    detail String
)
ENGINE = MergeTree
PARTITION BY toYYYYMM(time)
ORDER BY time;

-- Salts: never the salt, only what proves that it lived and died. Each line carries the hash of the one before.
CREATE TABLE IF NOT EXISTS salt_ledger
(
    seq UInt64,
    time DateTime64(3, 'UTC'),
    event Enum8('born' = 1, 'died' = 2),
    site UInt64,
    day Date,
    commitment FixedString(32),
    previous FixedString(32),
    hash FixedString(32)
)
ENGINE = MergeTree
ORDER BY seq;
