-- How many raw events each day of a site, or of all sites, has, and the sum of their hashes; from the day {open} on by hour.
-- Answered from the projection `fingerprints`.
SELECT
    site,
    day,
    if(day < {open:Date}, toDateTime(0, 'UTC'), toStartOfHour(time)) AS hour,
    count() AS rows,
    sum(cityHash64(time, kind, visitor, session, view, seq, path)) AS fingerprint
FROM events
WHERE @of_site@day BETWEEN {from:Date} AND {to:Date}
GROUP BY site, day, hour
