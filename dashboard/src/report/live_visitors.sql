-- Measured visitors with a hit in the last five minutes. Two days, because the site's day and ours may differ.
SELECT uniqExactIf(visitor, visitor != 0)
FROM events
WHERE site = {site:UInt64}
    AND day >= toDate(now('UTC')) - 1
    AND time >= now64(3, 'UTC') - INTERVAL 5 MINUTE
