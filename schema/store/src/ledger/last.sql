-- The newest line in the chain of {collector}.
SELECT seq, time, event, site, day, commitment, previous, hash, toString(collector) AS collector
FROM salt_ledger
WHERE salt_ledger.collector = {collector:String}
ORDER BY seq DESC
LIMIT 1
