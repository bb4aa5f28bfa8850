-- Milliseconds since the holder's last heartbeat: since the lock's creation, if there was none yet.
SELECT toUInt64(greatest(0, toUnixTimestamp64Milli(now64(3, 'UTC')) - ifNull(max(alive), 0))) AS idle
FROM
(
    SELECT toUnixTimestamp64Milli(time) AS alive FROM {lock:Identifier}
    UNION ALL
    SELECT toInt64(toUnixTimestamp(metadata_modification_time)) * 1000 AS alive
    FROM system.tables
    WHERE database = currentDatabase() AND name = {name:String}
)
