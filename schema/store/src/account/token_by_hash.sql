-- The token whose hash this is.
SELECT id, hash, name, site, scope, created, version, deleted
FROM tokens FINAL
WHERE deleted = 0 AND hash = toFixedString(unhex({hash:String}), 32)
LIMIT 1
