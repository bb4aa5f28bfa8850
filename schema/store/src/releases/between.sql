-- The releases of a site between two days, oldest first.
SELECT period, day, release, any(epsilon) AS epsilon, any(monthly) AS monthly,
    -- A visitor's day is counted either with its visitor or, hit by hit, without: what a release costs is the greater.
    greatest(sumIf(rho, NOT anonymous), sumIf(rho, anonymous)) AS rho,
    greatest(sumIf(delta, NOT anonymous), sumIf(delta, anonymous)) AS delta,
    any(archive.digest) AS digest
FROM archive
WHERE site = {site:UInt64} AND toUInt16(day) BETWEEN {from:UInt16} AND {to:UInt16}
GROUP BY period, day, release
ORDER BY release
