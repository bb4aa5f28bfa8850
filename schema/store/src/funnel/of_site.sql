-- The funnels of a site that are not removed, newest version of each.
SELECT id, site, name, strict, kinds, patterns, created, version, deleted
FROM funnels FINAL
WHERE deleted = 0 AND site = {site:UInt64}
ORDER BY name, id
