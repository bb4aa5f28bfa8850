-- The link with this hash, if it is neither withdrawn nor expired.
SELECT id, site, name, password, filters, goals, consent, hosts, created, expires, toUInt16(0) AS used
FROM shared_links FINAL
WHERE id = toFixedString(unhex({id:String}), 32) AND deleted = 0
    AND expires > fromUnixTimestamp64Milli({now:Int64}, 'UTC')
LIMIT 1
