-- Settlings of a site that have rows, by day.
SELECT DISTINCT day, settling FROM settled_days WHERE site = {site:UInt64}
UNION DISTINCT
SELECT DISTINCT day, settling FROM settled_visits WHERE site = {site:UInt64}
UNION DISTINCT
SELECT DISTINCT day, settling FROM settled_pages WHERE site = {site:UInt64}
UNION DISTINCT
SELECT DISTINCT day, settling FROM settled_cells WHERE site = {site:UInt64}
