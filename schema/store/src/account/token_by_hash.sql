-- The token with this hash.
SELECT id, hash, name, site, scope, created, user, version, deleted
FROM tokens FINAL
WHERE deleted = 0 AND hash = toFixedString(unhex({hash:String}), 32)
LIMIT 1
