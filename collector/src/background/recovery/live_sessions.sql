-- Visits that had a hit since {since} (milliseconds since 1970-01-01 UTC), with their last hit.
-- Two days: the visitor's day may have changed at the site's midnight.
SELECT site, visitor, session, toUnixTimestamp64Milli(max(time)) AS last
FROM events
WHERE day >= toDate(fromUnixTimestamp64Milli({since:Int64}, 'UTC')) - 1
  AND time > fromUnixTimestamp64Milli({since:Int64}, 'UTC')
  AND session != 0
GROUP BY site, visitor, session
