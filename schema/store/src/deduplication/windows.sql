-- Tables that receive batches of events (events itself and the targets of the views that read it): how many blocks each
-- remembers, and for how long (seconds; 0 for ever).
WITH
    assumeNotNull((SELECT toUInt64(value) FROM system.merge_tree_settings WHERE name = 'non_replicated_deduplication_window')) AS plain,
    assumeNotNull((SELECT toUInt64(value) FROM system.replicated_merge_tree_settings WHERE name = 'replicated_deduplication_window')) AS replicated,
    assumeNotNull((SELECT toUInt64(value) FROM system.replicated_merge_tree_settings WHERE name = 'replicated_deduplication_window_seconds')) AS seconds,
    match(engine, '^(Replicated|Shared)') AS is_replicated
SELECT
    name,
    if(is_replicated,
        ifNull(toUInt64OrNull(extract(engine_full, '[ ,]replicated_deduplication_window = (\\d+)')), replicated),
        ifNull(toUInt64OrNull(extract(engine_full, '[ ,]non_replicated_deduplication_window = (\\d+)')), plain)) AS blocks,
    if(is_replicated,
        ifNull(toUInt64OrNull(extract(engine_full, '[ ,]replicated_deduplication_window_seconds = (\\d+)')), seconds),
        0) AS lasting
FROM system.tables
WHERE database = currentDatabase()
  AND match(engine, 'MergeTree$')
  AND (name = 'events' OR name IN (
    SELECT extract(create_table_query, ' TO (?:[^ ]+\\.)?`?([^ `(]+)')
    FROM system.tables
    WHERE database = currentDatabase()
      AND engine = 'MaterializedView'
      AND name IN (SELECT arrayJoin(dependencies_table) FROM system.tables WHERE database = currentDatabase() AND name = 'events')))
ORDER BY name
