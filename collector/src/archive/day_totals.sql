-- The exact totals of a day: of the site and of each dimension.
INSERT INTO archive_totals
    (
        site, seal, day, dimension, heads, visitors, visits, pageviews, measured_views, events, entries, bounces,
        engaged_ms
    )
SELECT
    {site:UInt64},
    {seal:UInt64},
    {day:Date},
    dimension,
    sum(archive_slices.heads),
    sum(archive_slices.visitors),
    sum(archive_slices.visits),
    sum(archive_slices.pageviews),
    sum(archive_slices.measured_views),
    sum(archive_slices.events),
    sum(archive_slices.entries),
    sum(archive_slices.bounces),
    sum(archive_slices.engaged_ms)
FROM archive_slices
WHERE seal = {seal:UInt64}
GROUP BY dimension
