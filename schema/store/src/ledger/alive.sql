-- The salts that were made and not destroyed by the chain of {collector}, oldest first.
SELECT site, toUInt16(day) AS day, commitment
FROM salt_ledger
WHERE salt_ledger.collector = {collector:String}
GROUP BY site, salt_ledger.day, commitment
HAVING countIf(event = 'born') > countIf(event = 'died')
ORDER BY min(seq)
