-- What visitors decided, by hour or day of the site's clock or by who asked them. One row of `events` is one decision;
-- nothing ties two decisions of a visitor together. Bits of the masks: 2 preference, 4 analytics, 8 marketing. A row
-- without any is no decision: it came with categories that nobody has mapped.
SELECT
    toString({by:Identifier}) AS value,
    countIf(bitAnd(granted, 14) = 14) AS everything,
    countIf(bitAnd(granted, 14) NOT IN (0, 14)) AS some,
    countIf(bitAnd(granted, 14) = 0) AS nothing,
    countIf(bitAnd(granted, 2) != 0) AS preference,
    countIf(bitAnd(granted, 4) != 0) AS analytics,
    countIf(bitAnd(granted, 8) != 0) AS marketing,
    countIf(gpc) AS gpc
FROM
(
    SELECT
        granted,
        gpc,
        toString(consent_source) AS source,
        if(
            {hourly:Bool},
            formatDateTime(toStartOfHour(toTimeZone(time, {tz:String})), '%Y-%m-%d %H:00', {tz:String}),
            toString(day)
        ) AS moment
    FROM events
    WHERE site = {site:UInt64} AND events.day BETWEEN {from:Date} AND {to:Date} AND kind = 'consent' AND granted != 0
)
GROUP BY value
ORDER BY everything + some + nothing DESC, value
LIMIT {limit:UInt64}
