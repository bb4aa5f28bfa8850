-- One row per value of a field that a visit has many times (page, event, hostname, day, hour).
--
-- visitors, visits: those with a hit of the value, so that a visit counts for each page it saw
-- entries, bounces: visits that began with the value
-- engaged: milliseconds for which pages were visible, of hits of the value
SELECT
    toString(value) AS value,
    sum(some.visitors) AS visitors,
    sum(some.visits) AS visits,
    sum(some.pageviews) AS pageviews,
    sum(some.measured_views) AS measured_views,
    sum(some.events) AS events,
    sum(some.entries) AS entries,
    sum(some.bounces) AS bounces,
    sum(some.engaged) AS engaged
FROM
(
    SELECT
        {by:Identifier} AS value,
        uniqExactIf(visitor, visitor != 0) AS visitors,
        uniqExact(session + toUInt16(day)) AS visits,
        countIf(kind = 'pageview') AS pageviews,
        countIf(kind = 'pageview') AS measured_views,
        countIf(kind = 'custom') AS events,
        0 AS entries,
        0 AS bounces,
        sum(engaged_ms) AS engaged
    FROM hits
    WHERE session != 0 AND matching AND (NOT {narrow:Bool} OR (day, session) IN (SELECT day, session FROM visits))
    GROUP BY value
    UNION ALL
    SELECT
        {by:Identifier} AS value,
        0 AS visitors,
        0 AS visits,
        countIf(kind = 'pageview') AS pageviews,
        0 AS measured_views,
        countIf(kind = 'custom') AS events,
        0 AS entries,
        0 AS bounces,
        0 AS engaged
    FROM anonymous
    GROUP BY value
    UNION ALL
    SELECT
        {entry:Identifier} AS value,
        0 AS visitors,
        0 AS visits,
        0 AS pageviews,
        0 AS measured_views,
        0 AS events,
        count() AS entries,
        countIf(bounced) AS bounces,
        0 AS engaged
    FROM visits
    WHERE {bounces:Bool}
    GROUP BY value
) AS some
WHERE {by:String} != 'event' OR value != ''
GROUP BY value
HAVING pageviews > 0 OR events > 0
ORDER BY {order:Identifier} DESC, value
LIMIT {limit:UInt64}
