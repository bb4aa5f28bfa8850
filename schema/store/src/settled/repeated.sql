-- Visitors with more than one visit on a day.
SELECT visitor
FROM events
WHERE site = {site:UInt64} AND day = {day:Date} AND session != 0
GROUP BY site, day, visitor
HAVING min(session) != max(session)
