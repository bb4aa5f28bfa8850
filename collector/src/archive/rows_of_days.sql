-- How many raw rows some days of a site have now.
SELECT day, count() AS rows
FROM events
WHERE site = {site:UInt64} AND day BETWEEN {from:Date} AND {to:Date}
GROUP BY day
