-- Pages of the page views since {since} (milliseconds since 1970-01-01 UTC), newest first.
SELECT site, view, any(toString(hostname)) AS hostname, any(path) AS path
FROM events
WHERE day >= toDate(fromUnixTimestamp64Milli({since:Int64}, 'UTC')) - 1
  AND time > fromUnixTimestamp64Milli({since:Int64}, 'UTC')
  AND kind = 'pageview'
  AND view != 0
GROUP BY site, view
ORDER BY max(time) DESC
LIMIT {most:UInt64}
