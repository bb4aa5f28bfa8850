-- Numbers of the hits since {since} (milliseconds since 1970-01-01 UTC) that browsers may send again, newest first.
SELECT site, view, seq
FROM events
WHERE day >= toDate(fromUnixTimestamp64Milli({since:Int64}, 'UTC')) - 1
  AND time > fromUnixTimestamp64Milli({since:Int64}, 'UTC')
  AND view != 0
ORDER BY time DESC
LIMIT {most:UInt64}
