-- Raw events of a site between two days, oldest first. visitor is not used.
SELECT * FROM events
WHERE site = {site:UInt64} AND day >= {from:String} AND day <= {to:String}
ORDER BY day, time, visitor, view, seq
