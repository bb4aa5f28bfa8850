-- A site's seals, by day. Of two seals of one period the first counts.
SELECT period, day, argMin(archive_seals.seal, (sealed, archive_seals.seal)) AS seal,
    argMin(archive_seals.k, (sealed, archive_seals.seal)) AS k,
    argMin(archive_seals.rows, (sealed, archive_seals.seal)) AS rows
FROM archive_seals
WHERE site = {site:UInt64} AND day BETWEEN {from:Date} AND {to:Date}
GROUP BY period, day
ORDER BY period, day
