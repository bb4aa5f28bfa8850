-- Late events that were too few to be told in the month before, and wait here.
SELECT
    sum(archive_waiting.visitors) AS visitors,
    sum(archive_waiting.visits) AS visits,
    sum(archive_waiting.pageviews) AS pageviews,
    sum(archive_waiting.measured_views) AS measured_views,
    sum(archive_waiting.events) AS events,
    sum(archive_waiting.entries) AS entries,
    sum(archive_waiting.bounces) AS bounces,
    sum(archive_waiting.engaged_ms) AS engaged_ms
FROM archive_waiting
WHERE site = {site:UInt64} AND month = {month:Date} AND seal IN {seals:Array(UInt64)} AND dimension = ''
