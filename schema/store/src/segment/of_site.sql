-- The segments of a site that are not removed, newest version of each: of all people ({user} = 0), or those that one person
-- sees, their own and those of the site.
SELECT id, site, user, name, filters, created, version, deleted
FROM segments FINAL
WHERE deleted = 0 AND site = {site:UInt64} AND ({user:UInt64} = 0 OR user IN (0, {user:UInt64}))
ORDER BY lower(name), name, id
