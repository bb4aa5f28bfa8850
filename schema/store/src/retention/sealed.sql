-- Archived days that still have raw events: released themselves, or in a month that is (late hits are not archived).
SELECT DISTINCT stored.site AS site, stored.day AS day
FROM (SELECT DISTINCT site, day FROM events) AS stored
INNER JOIN (SELECT DISTINCT site, period, day FROM archive) AS archived ON archived.site = stored.site
WHERE (period = 'day' AND archived.day = stored.day)
    OR (period = 'month' AND archived.day = toStartOfMonth(stored.day))
