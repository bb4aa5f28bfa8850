-- Attempts since a moment, the last of each message at its end.
SELECT site, hook, kind, period, attempt, state, code, time, version
FROM hook_deliveries FINAL
WHERE time >= fromUnixTimestamp64Milli({since:Int64}, 'UTC')
ORDER BY site, hook, kind, period, attempt
