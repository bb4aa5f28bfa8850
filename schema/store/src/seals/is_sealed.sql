-- Whether a site's day may lose its raw rows: it is sealed, or its month is (later arrivals are not
-- archived).
SELECT count() > 0
FROM archive_seals
WHERE site = {site:UInt64}
    AND ((period = 'day' AND day = {day:Date}) OR (period = 'month' AND day = toStartOfMonth({day:Date})))
