-- What visitors' days add to totals and to dimensions of which they have one value: that of the first visit of the day.
-- Each visitor's day is counted once, and its figures are cut at the bounds of schema/src/archived.rs.
SELECT cell.1 AS dimension, cell.2 AS value, sum(cell.3) AS count, sum(cell.4) AS hits
FROM
(
    SELECT
        argMin(
            [
                entry_page, exit_page, source, channel, utm_source, utm_medium, utm_campaign, country, region, city, network,
                device, browser, browser_version, os, os_version, screen, language, formatDateTime(hour, '%H:00', {tz:String})
            ],
            (hour, session)
        ) AS first,
        least(count(), {visits:UInt64}) AS visits,
        least(countIf(bounced), {bounces:UInt64}) AS bounces,
        least(sum(settled_visits.views), {pageviews:UInt64}) AS views,
        least(sum(settled_visits.events), {events:UInt64}) AS named,
        sum(settled_visits.engaged) AS engaged
    FROM settled_visits
    WHERE site = {site:UInt64}
        AND day BETWEEN toDate({first:UInt16}) AND toDate({last:UInt16})
        AND has(arrayZip({days:Array(UInt16)}, {settlings:Array(UInt64)}), (toUInt16(day), settling))
    GROUP BY site, day, settling, visitor
)
ARRAY JOIN arrayConcat(
    [
        ('visitors', '', 1, 0),
        ('visits', '', visits, 0),
        ('bounces', '', bounces, 0),
        ('pageviews', '', views, 0),
        ('events', '', named, 0),
        ('hour', first[19], 1, 0),
        (
            'time',
            multiIf(
                engaged < 10000, 'under 10 s', engaged < 30000, '10 to 30 s', engaged < 60000, '30 to 60 s',
                engaged < 180000, '1 to 3 min', engaged < 600000, '3 to 10 min', 'over 10 min'
            ),
            1,
            0
        )
    ],
    arrayMap(
        (name, value) -> (name, value, 1, views),
        [
            'entry_page', 'exit_page', 'source', 'channel', 'utm_source', 'utm_medium', 'utm_campaign', 'country', 'region',
            'city', 'network', 'device', 'browser', 'browser_version', 'os', 'os_version', 'screen', 'language'
        ],
        arraySlice(first, 1, 18)
    )
) AS cell
GROUP BY dimension, value
HAVING count > 0
