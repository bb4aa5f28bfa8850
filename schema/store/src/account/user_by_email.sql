-- The user who signs in with an address; the first one if there should ever be two.
SELECT id, email, name, password, totp, created, version, deleted
FROM users FINAL
WHERE deleted = 0 AND email = {email:String}
ORDER BY created, id
LIMIT 1
