-- How many events are stored, and the bytes that they take on disk.
SELECT toUInt64(sum(rows)) AS events, toUInt64(sum(bytes_on_disk)) AS bytes
FROM system.parts
WHERE database = currentDatabase() AND table = 'events' AND active
