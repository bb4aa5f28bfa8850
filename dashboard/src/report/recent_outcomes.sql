-- Reads outcomes: one row per outcome and reason of this hour and the one before. Hits that named no site of ours
-- belong to nobody (site 0); they are shown to everybody, as one of them may have been meant for this site.
SELECT toString(outcome) AS outcome, toString(reason) AS reason, toUInt64(sum(hits)) AS hits
FROM outcomes
WHERE outcome != 'address'
    AND hour >= toStartOfHour(fromUnixTimestamp64Milli({now:Int64}, 'UTC')) - INTERVAL 1 HOUR
    AND (site = {site:UInt64} OR (site = 0 AND reason = 'unknown_site'))
GROUP BY outcome, reason
ORDER BY hits DESC, outcome, reason
