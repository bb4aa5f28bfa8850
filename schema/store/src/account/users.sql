-- Users that are not removed, newest version of each.
SELECT id, email, name, password, totp, created, version, deleted
FROM users FINAL
WHERE deleted = 0
ORDER BY email, id
LIMIT 10000
