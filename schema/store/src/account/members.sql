-- Who may do what where; site 0 stands for all sites.
SELECT user, site, role, version, deleted
FROM members FINAL
WHERE deleted = 0
ORDER BY user, site
