-- How many raw events each day of a site has, and the sum of their hashes; answered from the projection `fingerprint`.
SELECT day, count() AS rows, sum(cityHash64(time, kind, visitor, session, view, seq, path)) AS fingerprint
FROM events
WHERE site = {site:UInt64} AND day BETWEEN {from:Date} AND {to:Date}
GROUP BY day
