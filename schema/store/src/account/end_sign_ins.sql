-- Ends every sign-in of a user but the one that is kept (empty: none is).
INSERT INTO sign_ins (id, user, created, expires, version, deleted)
SELECT id, user, created, expires, {version:UInt64}, 1
FROM sign_ins FINAL
WHERE deleted = 0 AND user = {user:UInt64} AND lower(hex(id)) != {kept:String}
