-- The keys of single days that have events with an id: other events under these keys can be linked to the id.
SELECT DISTINCT toUInt16(day) AS day, visitor
FROM events
WHERE site = {site:UInt64} AND returning = {returning:UInt64} AND returning != 0 AND visitor != 0
LIMIT {limit:UInt64}
