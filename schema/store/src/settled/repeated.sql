-- Visitors with more than one visit on a day.
SELECT visitor
FROM events
WHERE site = {site:UInt64} AND day = {day:Date} AND session != 0 AND @slice@ AND time < fromUnixTimestamp64Milli({until:Int64}, 'UTC')
GROUP BY site, day, visitor
HAVING min(session) != max(session)
