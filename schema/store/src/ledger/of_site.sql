-- The newest lines about the salts of a site, in the chains of all collectors.
SELECT seq, time, event, site, day, commitment, previous, hash, toString(collector) AS collector
FROM salt_ledger
WHERE site = {site:UInt64}
ORDER BY time DESC, seq DESC
LIMIT {limit:UInt64}
