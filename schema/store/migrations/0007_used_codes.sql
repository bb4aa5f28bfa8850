-- Codes of two-step sign-in that were used, so that none is accepted twice: `step` is the number of the half minute
-- (RFC 6238), or 0 for a recovery code, of which `code` is a keyed hash. Rows are only added and then counted, so that
-- two dashboards cannot both accept one.
CREATE TABLE IF NOT EXISTS used_codes
(
    user UInt64,
    step UInt64,
    code FixedString(32),
    used DateTime64(3, 'UTC')
)
ENGINE = MergeTree
ORDER BY (user, step, code)
TTL toDateTime(used) + INTERVAL 1 DAY DELETE WHERE step > 0;
