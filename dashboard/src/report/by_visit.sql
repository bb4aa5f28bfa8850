-- One row per value of a field that a visit has once (source, entry page, country, …), or one row for everything.
--
-- visitors   visitor keys. A key lives for one day, so over several days this is the sum of the days' visitors.
-- visits     sessions
-- pageviews  of all visitors, measured or anonymous
-- measured_views  pageviews within visits
-- entries    visits that can bounce: all
-- bounces    visits with one pageview and no interaction
-- engaged    milliseconds for which pages were visible
SELECT
    toString(value) AS value,
    sum(some.visitors) AS visitors,
    sum(some.visits) AS visits,
    sum(some.pageviews) AS pageviews,
    sum(some.measured_views) AS measured_views,
    sum(some.events) AS events,
    sum(some.visits) AS entries,
    sum(some.bounces) AS bounces,
    sum(some.engaged) AS engaged
FROM
(
    SELECT
        {by:Identifier} AS value,
        uniqExactIf(visitor, visitor != 0) AS visitors,
        count() AS visits,
        sum(views) AS pageviews,
        sum(views) AS measured_views,
        sum(visits.events) AS events,
        countIf(bounced) AS bounces,
        sum(visits.engaged) AS engaged
    FROM visits
    GROUP BY value
    UNION ALL
    SELECT
        {by:Identifier} AS value,
        0 AS visitors,
        0 AS visits,
        countIf(kind = 'pageview') AS pageviews,
        0 AS measured_views,
        countIf(kind = 'custom') AS events,
        0 AS bounces,
        0 AS engaged
    FROM anonymous
    WHERE {by:String} NOT IN ('entry_page', 'exit_page')
    GROUP BY value
) AS some
GROUP BY value
HAVING visits > 0 OR pageviews > 0 OR events > 0
ORDER BY {order:Identifier} DESC, value
LIMIT {limit:UInt64}
