-- The whole ledger, oldest line first.
SELECT seq, time, event, site, day, commitment, previous, hash
FROM salt_ledger
ORDER BY seq
