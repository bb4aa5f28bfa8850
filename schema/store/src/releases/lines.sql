-- All lines of a site's archive, in the order of releases.
SELECT site, period, day, release, dimension, anonymous, epsilon, monthly, rho, delta, sigma, threshold, hits_sigma, values,
    counts, hits, previous, digest
FROM archive
WHERE site = {site:UInt64}
ORDER BY release, dimension, anonymous
