-- Values of a dimension in sealed days: their leaves; leaves of months that are in the period as a whole; and, as
-- "(rest)", what was folded: leaves that were cut above {level}, what days of other months have beside their leaves,
-- and what came late.
SELECT
    value,
    sum(sign * counts[1]) AS visitors,
    sum(sign * counts[2]) AS visits,
    sum(sign * counts[3]) AS pageviews,
    sum(sign * counts[4]) AS measured_views,
    sum(sign * counts[5]) AS events,
    sum(sign * counts[6]) AS entries,
    sum(sign * counts[7]) AS bounces,
    sum(sign * counts[8]) AS engaged
FROM
(
    WITH
        leaves AS
        (
            SELECT
                multiIf(
                    length(path) < {level:UInt8}, '(rest)',
                    dimension != 'hour', path[{level:UInt8}],
                    day = toDate(0), '(rest)',
                    concat(toString(day), ' ', path[1], ':00')
                ) AS value,
                day,
                toStartOfMonth(day) IN {whole:Array(Date)} AS of_whole,
                arrayMap(
                    n -> toInt64(n),
                    [visitors, visits, pageviews, measured_views, events, entries, bounces, engaged_ms]
                ) AS counts
            FROM archive_leaves
            WHERE site = {site:UInt64}
                AND dimension = {dimension:String}
                AND month BETWEEN toStartOfMonth({from:Date}) AND {to:Date}
                AND (
                    (seal IN {days:Array(UInt64)} AND day BETWEEN {from:Date} AND {to:Date})
                    OR seal IN {months:Array(UInt64)}
                )
        )
    SELECT value, 1 AS sign, counts FROM leaves
    UNION ALL
    SELECT '(rest)' AS value, -1 AS sign, counts FROM leaves WHERE day != toDate(0) AND NOT of_whole
    UNION ALL
    SELECT
        '(rest)' AS value,
        1 AS sign,
        arrayMap(
            n -> toInt64(n),
            [visitors, visits, pageviews, measured_views, events, entries, bounces, engaged_ms]
        ) AS counts
    FROM archive_totals
    WHERE site = {site:UInt64}
        AND day BETWEEN {from:Date} AND {to:Date}
        AND (
            (seal IN {days:Array(UInt64)} AND dimension = {dimension:String} AND toStartOfMonth(day) NOT IN {whole:Array(Date)})
            OR (seal IN {months:Array(UInt64)} AND dimension = '')
        )
)
WHERE {dimension:String} != 'event' OR value != ''
GROUP BY value
HAVING visits != 0 OR pageviews != 0 OR events != 0
