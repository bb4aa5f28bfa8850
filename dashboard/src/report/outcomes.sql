-- What became of every hit of a site, by hour or day of the site's clock. Outcomes are counted by the hour in UTC; in
-- time zones that are not whole hours away, an hour belongs to the day in which it begins.
-- Rows of outcome 'address' count the same hits a second time, by kind of client address (see health.sql).
SELECT
    if(
        {hourly:Bool},
        formatDateTime(hour, '%Y-%m-%d %H:00', {tz:String}),
        toString(toDate(hour, {tz:String}))
    ) AS at,
    toString(outcome) AS ended,
    toString(reason) AS why,
    sum(hits) AS hits
FROM outcomes
WHERE site = {site:UInt64}
    AND outcome != 'address'
    AND hour >= toDateTime({from:Date}, 'UTC') - INTERVAL 1 DAY
    AND hour < toDateTime({to:Date}, 'UTC') + INTERVAL 2 DAY
    AND toDate(hour, {tz:String}) BETWEEN {from:Date} AND {to:Date}
GROUP BY at, ended, why
ORDER BY at, ended, why
