-- Totals of the sealed days of a month, and of what came late.
SELECT
    seal,
    day,
    toString(dimension) AS dimension,
    [heads, visitors, visits, pageviews, measured_views, events, entries, bounces, engaged_ms] AS counts
FROM archive_totals
WHERE site = {site:UInt64} AND day BETWEEN {from:Date} AND {to:Date} AND seal IN {seals:Array(UInt64)}
