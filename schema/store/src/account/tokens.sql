-- API tokens that are not removed, oldest first.
SELECT id, hash, name, site, scope, created, user, version, deleted
FROM tokens FINAL
WHERE deleted = 0
ORDER BY created, id
