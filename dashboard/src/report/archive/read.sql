-- Figures of released days and months, by value, by bucket of time, and with {by_day} by day: `''` is a month.
SELECT
    dimension,
    if({by_day:Bool} AND period = 'day', toString(day), '') AS on_day,
    cell.1 AS value,
    toUInt64(sum(if(anonymous, 0, cell.2))) AS visitors,
    toUInt64(sum(if(anonymous, 0, cell.3))) AS hits,
    toUInt64(sum(if(anonymous, cell.2, 0))) AS anonymous_hits
FROM archive
ARRAY JOIN arrayZip(values, counts, if(empty(archive.hits), arrayWithConstant(length(counts), toUInt32(0)), archive.hits)) AS cell
WHERE site = {site:UInt64}
    AND dimension IN {dimensions:Array(String)}
    AND (
        (period = 'day' AND has({days:Array(UInt16)}, toUInt16(day)))
        OR (period = 'month' AND has({months:Array(UInt16)}, toUInt16(day)))
    )
GROUP BY dimension, on_day, value
