-- Webhooks of one site or (0) of all, the oldest first.
SELECT site, id, host, kinds, format, sealed, made_by, created, version, deleted
FROM hooks FINAL
WHERE deleted = 0 AND ({site:UInt64} = 0 OR site = {site:UInt64})
ORDER BY site, created, id
