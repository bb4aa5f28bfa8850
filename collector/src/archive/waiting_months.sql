-- Months of a site with cells that wait.
SELECT DISTINCT month FROM archive_waiting WHERE site = {site:UInt64}
