-- Measured visitors with a hit in the five minutes before {now}. Two days, because the site's day and ours may differ.
SELECT uniqExactIf(visitor, visitor != 0)
FROM events
WHERE site = {site:UInt64}
    AND day >= toDate(fromUnixTimestamp64Milli({now:Int64}, 'UTC')) - 1
    AND time >= fromUnixTimestamp64Milli({now:Int64}, 'UTC') - INTERVAL 5 MINUTE
