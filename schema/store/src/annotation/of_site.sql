-- The annotations of a site between two days that are not removed, newest version of each, the earliest first.
SELECT id, site, day, minute, text, created, version, deleted
FROM annotations FINAL
WHERE deleted = 0 AND site = {site:UInt64} AND day BETWEEN toDate({from:UInt16}) AND toDate({to:UInt16})
ORDER BY day, minute, created, id
