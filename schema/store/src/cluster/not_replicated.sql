-- A table that should be replicated but is not. What each server records for itself is not replicated.
SELECT name
FROM system.tables
WHERE database = currentDatabase()
    AND engine LIKE '%MergeTree'
    AND engine NOT LIKE 'Replicated%'
    AND name NOT IN ('schema_migrations', 'cluster_layout')
    AND name NOT LIKE 'schema\_lock\_%'
ORDER BY name
LIMIT 1
