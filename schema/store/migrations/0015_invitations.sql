-- Who was invited and has not come yet. `id` is the blake3 hash of the link's secret; sites = [0] stands for all sites.
-- What was used or withdrawn is marked as deleted without its address, and rewritten out with the other accounts.
CREATE TABLE IF NOT EXISTS invitations
(
    id FixedString(32),
    email String,
    sites Array(UInt64),
    role Enum8('viewer' = 1, 'editor' = 2, 'owner' = 3),
    inviter UInt64,
    created DateTime64(3, 'UTC'),
    expires DateTime64(3, 'UTC'),
    version UInt64,
    deleted UInt8
)
ENGINE = ReplacingMergeTree(version, deleted)
ORDER BY id
TTL toDateTime(expires);

-- Who made a token, so that it ends with them; 0 stands for the command line.
ALTER TABLE tokens ADD COLUMN IF NOT EXISTS user UInt64;
