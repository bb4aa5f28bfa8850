-- Segments: filters with a name, of one person (`user`) or, with 0, of everybody who reads the site. Filters are as in
-- addresses. What was removed is marked as deleted without its name and filters, and rewritten out with the accounts.
CREATE TABLE IF NOT EXISTS segments
(
    id UInt64,
    site UInt64,
    user UInt64,
    name String,
    filters Array(String),
    created DateTime64(3, 'UTC'),
    version UInt64,
    deleted UInt8
)
ENGINE = ReplacingMergeTree(version, deleted)
ORDER BY (site, id);
