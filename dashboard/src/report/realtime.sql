-- Hits of each minute between {since} and {until}, the minutes counted from {since}.
SELECT
    toUInt8(intDiv(toUnixTimestamp64Milli(time) - {since:Int64}, 60000)) AS minute,
    uniqExactIf(visitor, visitor != 0) AS visitors,
    countIf(kind = 'pageview') AS pageviews,
    countIf(kind = 'custom') AS events
FROM events
WHERE site = {site:UInt64}
    AND day IN {days:Array(Date)}
    AND time >= fromUnixTimestamp64Milli({since:Int64}, 'UTC')
    AND time < fromUnixTimestamp64Milli({until:Int64}, 'UTC')
GROUP BY minute
