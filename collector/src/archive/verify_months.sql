-- Months of a site of which something is sealed.
SELECT DISTINCT toStartOfMonth(day) AS month
FROM archive_seals
WHERE site = {site:UInt64}
ORDER BY month
