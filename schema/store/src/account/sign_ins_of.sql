-- The browsers in which a user is signed in, newest first.
SELECT id, user, created, expires, version, deleted
FROM sign_ins FINAL
WHERE deleted = 0 AND user = {user:UInt64} AND expires > fromUnixTimestamp64Milli({now:Int64}, 'UTC')
ORDER BY created DESC, id
LIMIT 200
