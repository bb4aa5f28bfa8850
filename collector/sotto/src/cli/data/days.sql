-- The days of a site that have raw events, oldest first.
SELECT toUInt16(day) AS number, count() AS events FROM events
WHERE site = {site:UInt64} AND day >= toDate({from:UInt16}) AND day <= toDate({to:UInt16})
GROUP BY day
ORDER BY day
