-- Days of a site with raw rows that are over and not sealed, and how many rows each has.
SELECT day, count() AS rows
FROM events
WHERE site = {site:UInt64} AND day <= {last:Date} AND day NOT IN {sealed:Array(Date)}
GROUP BY day
ORDER BY day
