-- The goals of a site that are not removed, newest version of each.
SELECT id, site, name, kind, pattern, created, version, deleted
FROM goals FINAL
WHERE deleted = 0 AND site = {site:UInt64}
ORDER BY name, id
