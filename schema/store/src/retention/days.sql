-- What the raw table holds, by the day on which it goes: small, because rows lie in this order.
SELECT site, toUInt16(day) AS day, toUInt16(expires) AS expires, count() AS rows
FROM events
GROUP BY site, day, expires
ORDER BY expires, site, day
