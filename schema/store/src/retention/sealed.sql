-- Archived days that still have raw events: sealed themselves, or in a sealed month (later arrivals are not
-- archived).
SELECT DISTINCT stored.site AS site, stored.day AS day
FROM (SELECT DISTINCT site, day FROM events) AS stored
INNER JOIN archive_seals ON archive_seals.site = stored.site
WHERE (period = 'day' AND archive_seals.day = stored.day)
    OR (period = 'month' AND archive_seals.day = toStartOfMonth(stored.day))
