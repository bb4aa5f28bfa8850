-- What is held under the id that a browser keeps, newest first.
SELECT *
FROM events
WHERE site = {site:UInt64} AND returning = {returning:UInt64} AND returning != 0
ORDER BY time DESC, view, seq
LIMIT {limit:UInt64}
