-- Raw events of one visitor key, or of one browser's number, oldest first.
SELECT *
FROM events
WHERE site = {site:UInt64}
    AND ((visitor != 0 AND visitor = {visitor:UInt64}) OR (returning != 0 AND returning = {returning:UInt64}))
ORDER BY time
