-- Leaves of a month.
SELECT
    seal,
    toString(dimension) AS dimension,
    day,
    path,
    people,
    [heads, visitors, visits, pageviews, measured_views, events, entries, bounces, engaged_ms] AS counts
FROM archive_leaves
WHERE site = {site:UInt64} AND month = {from:Date} AND seal IN {seals:Array(UInt64)}
