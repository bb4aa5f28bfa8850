-- Erases the raw events of one visitor key; waited for (mutations_sync = 2).
ALTER TABLE events DELETE WHERE site = {site:UInt64} AND visitor = {visitor:UInt64}
