-- Whether hits arrive, and from where: the 24 hours of a site before {now}, and its last hit ever.
--
-- Rows of outcome 'address' count hits by kind of client address: 'private' or 'public'.
-- last_hour, last_kept  milliseconds since 1970-01-01 UTC, 0 when there was none
SELECT
    sumIf(hits, recent AND outcome != 'address') AS hits_recent,
    sumIf(hits, recent AND outcome = 'dropped' AND reason = 'foreign_hostname') AS foreign_recent,
    sumIf(hits, recent AND outcome = 'address' AND reason = 'private') AS private_recent,
    sumIf(hits, recent AND outcome = 'address' AND reason = 'public') AS public_recent,
    1000 * toInt64(toUnixTimestamp(maxIf(hour, outcome != 'address'))) AS last_hour,
    ifNull(
        (
            SELECT toUnixTimestamp64Milli(max(time))
            FROM events
            WHERE site = {site:UInt64}
                AND day = (
                    -- From the projection `fingerprints`.
                    SELECT max(day) FROM (SELECT day, count() FROM events WHERE site = {site:UInt64} GROUP BY site, day)
                )
        ),
        0
    ) AS last_kept
FROM
(
    SELECT
        outcome,
        reason,
        hits,
        hour,
        hour >= toStartOfHour(fromUnixTimestamp64Milli({now:Int64}, 'UTC') - INTERVAL 1 DAY) AS recent
    FROM outcomes
    WHERE site = {site:UInt64}
)
