-- Totals of sealed days, and of what came late to months that are in the period as a whole.
SELECT
    if({by_day:Bool}, if(seal IN {months:Array(UInt64)}, '(rest)', toString(day)), '') AS value,
    toInt64(sum(archive_totals.visitors)) AS visitors,
    toInt64(sum(archive_totals.visits)) AS visits,
    toInt64(sum(archive_totals.pageviews)) AS pageviews,
    toInt64(sum(archive_totals.measured_views)) AS measured_views,
    toInt64(sum(archive_totals.events)) AS events,
    toInt64(sum(archive_totals.entries)) AS entries,
    toInt64(sum(archive_totals.bounces)) AS bounces,
    toInt64(sum(archive_totals.engaged_ms)) AS engaged
FROM archive_totals
WHERE site = {site:UInt64}
    AND day BETWEEN {from:Date} AND {to:Date}
    AND dimension = ''
    AND (seal IN {days:Array(UInt64)} OR seal IN {months:Array(UInt64)})
GROUP BY value
