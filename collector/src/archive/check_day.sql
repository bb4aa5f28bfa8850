-- How many dimensions of a day do not add up: the cells to the dimension's total, and the heads to the site's visitors.
WITH
    (SELECT sum(heads) FROM archive_slices WHERE seal = {seal:UInt64} AND dimension = '') AS heads_of_site
SELECT count()
FROM
(
    SELECT
        dimension,
        [sum(heads), sum(visits), sum(pageviews), sum(events), sum(entries), sum(bounces), sum(engaged_ms)] AS counts
    FROM archive_waiting
    WHERE site = {site:UInt64} AND month = toStartOfMonth({day:Date}) AND seal = {seal:UInt64}
    GROUP BY dimension
) AS cells
FULL OUTER JOIN
(
    SELECT
        dimension,
        [sum(heads), sum(visits), sum(pageviews), sum(events), sum(entries), sum(bounces), sum(engaged_ms)] AS counts
    FROM archive_totals
    WHERE site = {site:UInt64} AND day = {day:Date} AND seal = {seal:UInt64} AND dimension != ''
    GROUP BY dimension
) AS totals USING dimension
WHERE cells.counts != totals.counts OR totals.counts[1] != heads_of_site
