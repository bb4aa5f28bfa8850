-- Figures of one sealed day as its raw rows have them now. What is more than was sealed came late.
SELECT
    uniqExactIf(visitor, visitor != 0) AS visitors,
    countIf(measured) AS visits,
    sum(views) AS pageviews,
    sumIf(views, measured) AS measured_views,
    sum(interactions) AS events,
    countIf(measured) AS entries,
    countIf(measured AND bounced) AS bounces,
    sumIf(engaged, measured) AS engaged_ms
FROM
(
    SELECT
        visitor,
        session != 0 AS measured,
        countIf(kind = 'pageview') AS views,
        countIf(kind = 'custom') AS interactions,
        countIf(kind = 'pageview') = 1 AND NOT max(interactive) AS bounced,
        sum(events.engaged_ms) AS engaged
    FROM events
    WHERE site = {site:UInt64} AND day = {day:Date}
    GROUP BY site, day, visitor, session
)
