-- Links that are neither withdrawn nor expired, of one site or (0) of all, oldest first, with the last day each was used.
SELECT l.id AS id, l.site AS site, l.name AS name, l.password AS password, l.filters AS filters, l.goals AS goals,
       l.consent AS consent, l.hosts AS hosts, l.created AS created, l.expires AS expires, toUInt16(d.day) AS used
FROM (SELECT * FROM shared_links FINAL WHERE deleted = 0) AS l
LEFT JOIN (SELECT id, max(day) AS day FROM shared_link_days GROUP BY id) AS d ON d.id = l.id
WHERE ({site:UInt64} = 0 OR l.site = {site:UInt64}) AND l.expires > fromUnixTimestamp64Milli({now:Int64}, 'UTC')
ORDER BY l.created, l.id
