-- Cells of one day's hits without a visit. They are counted, but they never help a cell to k: five of them may be one
-- person's.
INSERT INTO archive_slices
    (seal, dimension, path, heads, visitors, visits, pageviews, measured_views, events, entries, bounces, engaged_ms)
WITH
    page -> [concat('/', arrayElement(splitByChar('/', page), 2)), page] AS sections
SELECT
    {seal:UInt64},
    cell.1 AS dimension,
    cell.2 AS value,
    0,
    0,
    0,
    sum(views),
    0,
    sum(interactions),
    0,
    0,
    0
FROM
(
    SELECT
        events.path AS page,
        [toString(channel), toString(if(source = '', referrer_host, source))] AS from,
        [toString(utm_source), toString(utm_medium), toString(utm_campaign)] AS campaign,
        [toString(country), toString(region), toString(city)] AS place,
        [if(network_kind = 'unknown', '', toString(network_kind)), toString(network)] AS through,
        [if(device = 'unknown', '', toString(device))] AS device_class,
        [toString(browser), toString(browser_version)] AS browsers,
        [toString(os), toString(os_version)] AS systems,
        [if(screen = 'unknown', '', toString(screen))] AS screens,
        [toString(language)] AS languages,
        if(kind = 'custom', toString(name), '') AS event,
        leftPad(toString(toHour(toTimeZone(time, {tz:String}))), 2, '0') AS hour,
        arrayMap(
            goal -> goal.1,
            arrayFilter(
                goal -> if(goal.2 = 1, kind = 'pageview' AND match(events.path, goal.3), kind = 'custom' AND name = goal.3),
                {goals:Array(Tuple(String, UInt8, String))}
            )
        ) AS goals,
        toUInt64(countIf(kind = 'pageview')) AS views,
        toUInt64(countIf(kind = 'custom')) AS interactions
    FROM events
    WHERE site = {site:UInt64} AND day = {day:Date} AND session = 0 AND kind IN ('pageview', 'custom')
    GROUP BY page, from, campaign, place, through, device_class, browsers, systems, screens, languages, event, hour, goals
)
ARRAY JOIN arrayConcat(
    [
        ('', emptyArrayString()),
        ('source', from),
        ('campaign', campaign),
        ('place', place),
        ('network', through),
        ('device', device_class),
        ('browser', browsers),
        ('os', systems),
        ('screen', screens),
        ('language', languages),
        ('page', sections(page)),
        ('event', [event]),
        ('hour', [hour])
    ],
    arrayMap(
        goal -> ('goal', [goal]),
        if(empty({goals:Array(Tuple(String, UInt8, String))}), emptyArrayString(), if(empty(goals), [''], goals))
    )
) AS cell
GROUP BY dimension, value
