-- Settlings that have rows, by site and day.
SELECT DISTINCT site, day, settling FROM settled_days
UNION DISTINCT
SELECT DISTINCT site, day, settling FROM settled_visits
UNION DISTINCT
SELECT DISTINCT site, day, settling FROM settled_page_visits
UNION DISTINCT
SELECT DISTINCT site, day, settling FROM settled_details
UNION DISTINCT
SELECT DISTINCT site, day, settling FROM settled_cells
UNION DISTINCT
SELECT DISTINCT site, day, settling FROM settled_months
