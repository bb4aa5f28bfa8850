-- The settled days of a site, with the raw events they were made from.
SELECT day, settling, rows, fingerprint
FROM settled_days
WHERE site = {site:UInt64} AND day BETWEEN {from:Date} AND {to:Date} AND time_zone = {tz:String}
ORDER BY settling
