-- The cells of a day, and which of them are leaves.
--
-- Cells stand in the order of their visitors, the smallest first. A cell with at least k visitors is a leaf, unless
-- those before it are a remainder of fewer than k heads: then it is folded with them, and the remainder has k.
INSERT INTO archive_waiting
    (
        site, seal, dimension, month, day, path, leaf, heads, visitors, visits, pageviews, measured_views, events,
        entries, bounces, engaged_ms
    )
SELECT
    {site:UInt64},
    {seal:UInt64},
    dimension,
    toStartOfMonth({day:Date}),
    {day:Date},
    path,
    cell_visitors >= {k:UInt8} AND (small_before = 0 OR heads_before >= {k:UInt8}),
    cell_heads,
    cell_visitors,
    cell_visits,
    cell_views,
    cell_measured,
    cell_events,
    cell_entries,
    cell_bounces,
    cell_engaged
FROM
(
    SELECT
        *,
        countIf(cell_visitors < {k:UInt8}) OVER before AS small_before,
        sum(cell_heads) OVER before AS heads_before
    FROM
    (
        SELECT
            dimension,
            path,
            sum(heads) AS cell_heads,
            sum(visitors) AS cell_visitors,
            sum(visits) AS cell_visits,
            sum(pageviews) AS cell_views,
            sum(measured_views) AS cell_measured,
            sum(events) AS cell_events,
            sum(entries) AS cell_entries,
            sum(bounces) AS cell_bounces,
            sum(engaged_ms) AS cell_engaged
        FROM archive_slices
        WHERE seal = {seal:UInt64} AND dimension != ''
        GROUP BY dimension, path
    )
    WINDOW before AS
    (
        PARTITION BY dimension
        ORDER BY cell_visitors, path
        ROWS BETWEEN UNBOUNDED PRECEDING AND 1 PRECEDING
    )
)
