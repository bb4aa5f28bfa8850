-- How many events are under keys of the day, by kind: no page, no time.
SELECT toString(kind) AS kind, count() AS rows
FROM events
WHERE site = {site:UInt64} AND toUInt16(day) IN {days:Array(UInt16)} AND visitor IN {visitors:Array(UInt64)} AND visitor != 0
GROUP BY kind
ORDER BY kind
