-- What hits without a visitor add: each of them one to each dimension.
SELECT cell.1 AS dimension, cell.2 AS value, sum(cell.3) AS count, toUInt64(0) AS hits
FROM settled_page_visits
ARRAY JOIN arrayConcat(
    [
        ('pageviews', '', views),
        ('events', '', events),
        ('event', toString(event), events),
        ('page', toString(page), views),
        ('section', @section@, views),
        ('hour', formatDateTime(hour, '%H:00', {tz:String}), views)
    ],
    arrayMap(
        (name, value) -> (name, value, views),
        ['source', 'channel', 'utm_source', 'utm_medium', 'utm_campaign', 'country', 'region', 'city', 'device', 'browser', 'os', 'screen', 'language'],
        [
            toString(source), toString(channel), toString(utm_source), toString(utm_medium), toString(utm_campaign), toString(country),
            toString(region), toString(city), toString(device), toString(browser), toString(os), toString(screen), toString(language)
        ]
    )
) AS cell
WHERE site = {site:UInt64}
    AND day BETWEEN toDate({first:UInt16}) AND toDate({last:UInt16})
    AND has(arrayZip({days:Array(UInt16)}, {settlings:Array(UInt64)}), (toUInt16(day), settling))
    AND NOT measured
GROUP BY dimension, value
HAVING count > 0
