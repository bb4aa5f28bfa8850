-- Raw events of a site and day in the order of the table, which needs no sorting.
SELECT * FROM events
WHERE site = {site:UInt64} AND day = toDate({day:UInt16})
ORDER BY site, day, visitor, session, time
