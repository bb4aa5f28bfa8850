-- Pageviews per site in the 24 hours before {now}, for the list of sites. Those on a shard that is away are left out: the list
-- shows the others.
SELECT site, countIf(kind = 'pageview') AS pageviews
FROM events
WHERE site IN {sites:Array(UInt64)}
    AND day >= toDate(fromUnixTimestamp64Milli({now:Int64}, 'UTC')) - 2
    AND time >= fromUnixTimestamp64Milli({now:Int64}, 'UTC') - INTERVAL 1 DAY
GROUP BY site
SETTINGS skip_unavailable_shards = 1
