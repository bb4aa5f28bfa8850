-- API tokens that are neither removed nor expired, oldest first, with the last day each was used.
SELECT t.id AS id, t.hash AS hash, t.name AS name, t.site AS site, t.scope AS scope, t.created AS created, t.user AS user,
       t.version AS version, t.deleted AS deleted, t.expires AS expires, toUInt16(d.day) AS used
FROM (SELECT * FROM tokens FINAL WHERE deleted = 0) AS t
LEFT JOIN (SELECT id, max(day) AS day FROM token_days GROUP BY id) AS d ON d.id = t.id
WHERE t.expires > fromUnixTimestamp64Milli({now:Int64}, 'UTC')
ORDER BY t.created, t.id
