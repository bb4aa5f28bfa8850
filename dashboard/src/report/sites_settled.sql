-- Visitors and pageviews of sites by day, and pageviews by consent, of all settlings of these days.
SELECT site, day, settling, toString(dimension) AS dimension, toString(value) AS value,
    toUInt64(sum(visitors)) AS visitors, toUInt64(sum(pageviews)) AS pageviews
FROM settled_cells
WHERE site IN {sites:Array(UInt64)}
    AND dimension IN ('day', 'consent')
    AND day BETWEEN {from:Date} AND {to:Date}
GROUP BY site, day, settling, dimension, value
