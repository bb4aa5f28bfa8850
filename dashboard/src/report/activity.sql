-- Pageviews per site in the last 24 hours, for the list of sites. Those on a shard that is away are left out: the list
-- shows the others.
SELECT site, countIf(kind = 'pageview') AS pageviews
FROM events
WHERE site IN {sites:Array(UInt64)}
    AND day >= toDate(now() - INTERVAL 2 DAY)
    AND time >= now() - INTERVAL 1 DAY
GROUP BY site
SETTINGS skip_unavailable_shards = 1
