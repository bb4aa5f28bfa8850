-- The days of which events are under an id and keys of days.
SELECT DISTINCT toUInt16(day)
FROM events
WHERE site = {site:UInt64} AND (
    ({returning:UInt64} != 0 AND returning = {returning:UInt64})
    OR (visitor != 0 AND has(arrayZip({days:Array(UInt16)}, {visitors:Array(UInt64)}), (toUInt16(day), visitor))))
