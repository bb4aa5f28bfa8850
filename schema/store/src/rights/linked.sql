-- The keys of single days under which events with an id lie: what else lies under them can be tied to the id.
SELECT DISTINCT toUInt16(day) AS day, visitor
FROM events
WHERE site = {site:UInt64} AND returning = {returning:UInt64} AND returning != 0 AND visitor != 0
LIMIT {limit:UInt64}
