-- Removes the archive of a site (mutations_sync = 2).
ALTER TABLE archive DELETE WHERE site = {site:UInt64}
