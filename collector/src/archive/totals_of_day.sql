-- What a day's seal says of the site.
SELECT visitors, visits, pageviews, measured_views, events, entries, bounces, engaged_ms
FROM archive_totals
WHERE site = {site:UInt64} AND day = {day:Date} AND seal = {seal:UInt64} AND dimension = ''
