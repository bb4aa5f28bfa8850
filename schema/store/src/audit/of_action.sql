-- The newest entries of one kind.
SELECT time, actor, action, site, detail
FROM audit_log
WHERE action = {action:String}
ORDER BY time DESC
LIMIT {limit:UInt64}
