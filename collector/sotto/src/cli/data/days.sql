-- The days of a site that have raw events, oldest first, with how many and when those without a visitor were.
SELECT toUInt16(day) AS number, count() AS events, countIf(visitor = 0) AS anonymous,
    toUnixTimestamp64Milli(minIf(time, visitor = 0)) AS first, toUnixTimestamp64Milli(maxIf(time, visitor = 0)) AS last
FROM events
WHERE site = {site:UInt64} AND day >= toDate({from:UInt16}) AND day <= toDate({to:UInt16})
GROUP BY day
ORDER BY day
