-- Invitations that are neither used nor expired, oldest first.
SELECT id, email, sites, role, inviter, created, expires, version, deleted
FROM invitations FINAL
WHERE deleted = 0 AND expires > fromUnixTimestamp64Milli({now:Int64}, 'UTC')
ORDER BY created, id
