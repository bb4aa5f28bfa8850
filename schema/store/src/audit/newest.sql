-- The newest entries of the audit log, for one site or (0) for all.
SELECT time, actor, action, site, detail
FROM audit_log
WHERE {site:UInt64} = 0 OR site = {site:UInt64}
ORDER BY time DESC
LIMIT {limit:UInt64}
