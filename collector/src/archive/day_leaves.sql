-- The leaves of a day. A cell is one value of one day, so that its visitors are people.
INSERT INTO archive_leaves
    (
        site, seal, dimension, month, day, path, people, heads, visitors, visits, pageviews, measured_views, events,
        entries, bounces, engaged_ms
    )
SELECT
    site, seal, dimension, month, day, path, visitors, heads, visitors, visits, pageviews, measured_views, events,
    entries, bounces, engaged_ms
FROM archive_waiting
WHERE site = {site:UInt64} AND month = toStartOfMonth({day:Date}) AND seal = {seal:UInt64} AND leaf
