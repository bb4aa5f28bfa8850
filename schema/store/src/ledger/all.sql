-- The whole ledger: the chains of all collectors, each oldest line first.
SELECT seq, time, event, site, day, commitment, previous, hash, toString(collector) AS collector
FROM salt_ledger
ORDER BY salt_ledger.collector, seq
