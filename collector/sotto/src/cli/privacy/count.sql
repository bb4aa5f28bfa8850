-- How many raw events one visitor key has.
SELECT count() FROM events WHERE site = {site:UInt64} AND visitor = {visitor:UInt64}
