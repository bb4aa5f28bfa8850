-- Adds up the figures of the settled days of a month.
INSERT INTO settled_months (site, day, settling, dimension, value, @counts@)
SELECT {site:UInt64}, {from:Date}, {settling:UInt64}, dimension, value, @sums@
FROM settled_cells
WHERE site = {site:UInt64} AND day BETWEEN {from:Date} AND {to:Date} AND settling IN {settled:Array(UInt64)}
GROUP BY dimension, value
