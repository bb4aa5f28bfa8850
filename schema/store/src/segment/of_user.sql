-- The segments that one person keeps for themselves, on all sites.
SELECT id, site, user, name, filters, created, version, deleted
FROM segments FINAL
WHERE deleted = 0 AND user = {user:UInt64} AND user != 0
