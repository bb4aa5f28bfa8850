-- Whether a site's day may lose its raw events: it is released, or its month is (late hits are not archived).
SELECT count() > 0
FROM archive
WHERE site = {site:UInt64}
    AND ((period = 'day' AND day = toDate({day:UInt16})) OR (period = 'month' AND day = toStartOfMonth(toDate({day:UInt16}))))
