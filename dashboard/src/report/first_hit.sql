-- The first pageview a site ever had that is still there; no row before that.
SELECT toString(hostname) AS hostname, path, toUnixTimestamp64Milli(time) AS time
FROM events
WHERE site = {site:UInt64} AND kind = 'pageview'
ORDER BY day, time
LIMIT 1
