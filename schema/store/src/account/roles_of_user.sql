-- What one user may do where; site 0 stands for all sites.
SELECT user, site, role, version, deleted
FROM members FINAL
WHERE deleted = 0 AND user = {user:UInt64}
ORDER BY site
