-- The settled days of a site, or of all sites, with the raw events they were made from; the latest last. A month has the
-- day on which it begins.
SELECT site, day, settling, rows, fingerprint, time_zone, until, month
FROM settled_days
WHERE @of_site@day BETWEEN {from:Date} AND {to:Date}
ORDER BY settling
