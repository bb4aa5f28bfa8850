-- The newest lines about the salts of a site.
SELECT seq, time, event, site, day, commitment, previous, hash
FROM salt_ledger
WHERE site = {site:UInt64}
ORDER BY seq DESC
LIMIT {limit:UInt64}
