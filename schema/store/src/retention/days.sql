-- What the raw table holds, by expiry day. Cheap, because rows are sorted this way.
SELECT site, toUInt16(day) AS day, toUInt16(expires) AS expires, count() AS rows
FROM events
GROUP BY site, day, expires
ORDER BY expires, site, day
