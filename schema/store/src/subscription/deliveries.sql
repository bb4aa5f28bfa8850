-- Attempts to send letters since a moment, the last of each letter at its end.
SELECT site, user, kind, period, attempt, state, secret, time, version
FROM mail_deliveries FINAL
WHERE time >= fromUnixTimestamp64Milli({since:Int64}, 'UTC')
ORDER BY site, user, kind, period, attempt
