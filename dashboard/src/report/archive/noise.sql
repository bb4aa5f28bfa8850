-- How much noise the figures of a value have that is in all of these releases: the sums of
-- variances; and that of one release.
SELECT
    dimension,
    sum(sigma * sigma) AS variance,
    sum(hits_sigma * hits_sigma) AS hits_variance,
    max(sigma * sigma) AS one
FROM archive
WHERE site = {site:UInt64}
    AND dimension IN {dimensions:Array(String)}
    AND NOT anonymous
    AND (
        (period = 'day' AND has({days:Array(UInt16)}, toUInt16(day)))
        OR (period = 'month' AND has({months:Array(UInt16)}, toUInt16(day)))
    )
GROUP BY dimension
