-- How many dimensions of a month do not add up: what waited to the leaves of the month.
SELECT count()
FROM
(
    SELECT
        dimension,
        [sum(heads), sum(visits), sum(pageviews), sum(events), sum(entries), sum(bounces), sum(engaged_ms)] AS counts
    FROM archive_waiting
    WHERE site = {site:UInt64} AND month = {month:Date} AND seal IN {seals:Array(UInt64)} AND dimension != '' AND NOT leaf
    GROUP BY dimension
) AS waited
FULL OUTER JOIN
(
    SELECT
        dimension,
        [sum(heads), sum(visits), sum(pageviews), sum(events), sum(entries), sum(bounces), sum(engaged_ms)] AS counts
    FROM archive_leaves
    WHERE site = {site:UInt64} AND month = {month:Date} AND seal = {seal:UInt64}
    GROUP BY dimension
) AS leaves USING dimension
WHERE waited.counts != leaves.counts
