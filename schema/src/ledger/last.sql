-- The newest line of the ledger.
SELECT seq, time, event, site, day, commitment, previous, hash
FROM salt_ledger
ORDER BY seq DESC
LIMIT 1
