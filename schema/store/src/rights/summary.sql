-- How many events are held under the id that a browser keeps, and for which days.
SELECT count() AS rows, toUInt16(min(day)) AS first, toUInt16(max(day)) AS last, toUInt16(max(expires)) AS expires
FROM events
WHERE site = {site:UInt64} AND returning = {returning:UInt64} AND returning != 0
