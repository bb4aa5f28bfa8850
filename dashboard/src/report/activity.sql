-- Pageviews per site in the last 24 hours, for the list of sites.
SELECT site, countIf(kind = 'pageview') AS pageviews
FROM events
WHERE site IN {sites:Array(UInt64)}
    AND day >= toDate(now() - INTERVAL 2 DAY)
    AND time >= now() - INTERVAL 1 DAY
GROUP BY site
