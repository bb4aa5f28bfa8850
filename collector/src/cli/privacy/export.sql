-- Raw events of one visitor key, oldest first.
SELECT * FROM events WHERE site = {site:UInt64} AND visitor = {visitor:UInt64} ORDER BY time
