-- What the people of a site wrote at a day of their charts, as "Spring campaign". `minute` of the day in the site's time zone, or
-- -1 for the whole day. What was removed is marked as deleted without its text, and rewritten out with the accounts.
CREATE TABLE IF NOT EXISTS annotations
(
    id UInt64,
    site UInt64,
    day Date,
    minute Int16,
    text String,
    created DateTime64(3, 'UTC'),
    version UInt64,
    deleted UInt8
)
ENGINE = ReplacingMergeTree(version, deleted)
ORDER BY (site, id);
