-- How many cells wait for a month.
SELECT count() FROM archive_waiting WHERE site = {site:UInt64} AND month = {from:Date} AND dimension != ''
