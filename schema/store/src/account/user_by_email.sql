-- The user who signs in with an address; the first of them should there ever be two.
SELECT id, email, name, password, totp, created, version, deleted
FROM users FINAL
WHERE deleted = 0 AND email = {email:String}
ORDER BY created, id
LIMIT 1
