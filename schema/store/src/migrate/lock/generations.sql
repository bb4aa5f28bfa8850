-- Numbers of all locks.
SELECT toUInt64(substring(name, length('schema_lock_') + 1)) AS generation
FROM system.tables
WHERE database = currentDatabase() AND name LIKE 'schema\_lock\_%'
ORDER BY generation
