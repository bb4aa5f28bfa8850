-- The first day of a site that still has raw events; no row when there are none.
SELECT day FROM events WHERE site = {site:UInt64} ORDER BY day LIMIT 1
