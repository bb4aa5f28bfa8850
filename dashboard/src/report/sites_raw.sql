-- The same of days that are read from raw events, without consent.
SELECT site, day, uniqExactIf(visitor, visitor != 0 AND session != 0) AS visitors, countIf(kind = 'pageview') AS pageviews
FROM events
WHERE site IN {sites:Array(UInt64)} AND day IN {days:Array(Date)}
GROUP BY site, day
