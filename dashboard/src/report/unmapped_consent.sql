-- Categories of consent managers that no mapping knew, by how often the script reported them (once per page).
SELECT
    toString(consent_unmapped.source) AS source,
    category,
    sum(consent_unmapped.times) AS times,
    toString(max(consent_unmapped.day)) AS last_day
FROM consent_unmapped
WHERE site = {site:UInt64} AND day BETWEEN {from:Date} AND {to:Date}
GROUP BY source, category
ORDER BY times DESC, source, category
LIMIT {limit:UInt64}
