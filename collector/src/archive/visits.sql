-- Cells of the visitors of one day whose keys lie between {first} and {last}: one row per dimension and value.
--
-- Rows of `events` lie in the order of visitor and session, so that visits are put together one after the other and
-- not all at once. Values are those of the reports (dashboard/src/report/scope.sql).
--
-- heads      visitors, each counted at one of their values only (the last in the order of text), so that heads add up
-- visitors   visitors with the value
-- visits     visits with the value
INSERT INTO archive_slices
    (seal, dimension, path, heads, visitors, visits, pageviews, measured_views, events, entries, bounces, engaged_ms)
WITH
    page -> [concat('/', arrayElement(splitByChar('/', page), 2)), page] AS sections,
    visits AS
    (
        SELECT
            events.visitor AS visitor,
            session,
            argMinIf(
                (
                    events.path,
                    [toString(channel), toString(if(source = '', referrer_host, source))],
                    [toString(utm_source), toString(utm_medium), toString(utm_campaign)]
                ),
                time,
                kind = 'pageview'
            ) AS began,
            argMaxIf(events.path, time, kind = 'pageview') AS exit_page,
            toString(toHour(toTimeZone(min(time), {tz:String}))) AS began_hour,
            any((
                [toString(country), toString(region), toString(city)],
                [if(network_kind = 'unknown', '', toString(network_kind)), toString(network)],
                [if(device = 'unknown', '', toString(device))],
                [toString(browser), toString(browser_version)],
                [toString(os), toString(os_version)],
                [if(screen = 'unknown', '', toString(screen))],
                [toString(language)]
            )) AS fixed,
            toUInt64(countIf(kind = 'pageview')) AS views,
            toUInt64(countIf(kind = 'custom')) AS interactions,
            toUInt64(countIf(kind = 'pageview') = 1 AND NOT max(interactive)) AS bounced,
            toUInt64(sum(events.engaged_ms)) AS engaged,
            groupArray((
                events.path,
                if(kind = 'custom', toString(name), ''),
                leftPad(toString(toHour(toTimeZone(time, {tz:String}))), 2, '0'),
                arrayMap(
                    goal -> goal.1,
                    arrayFilter(
                        goal -> if(goal.2 = 1, kind = 'pageview' AND match(events.path, goal.3), kind = 'custom' AND name = goal.3),
                        {goals:Array(Tuple(String, UInt8, String))}
                    )
                ),
                toUInt64(kind = 'pageview'),
                toUInt64(kind = 'custom'),
                toUInt64(events.engaged_ms)
            )) AS hits
        FROM events
        WHERE site = {site:UInt64} AND day = {day:Date} AND session != 0
            AND events.visitor BETWEEN {first:UInt64} AND {last:UInt64}
        GROUP BY site, day, events.visitor, session
    ),
    -- What a visit has once.
    of_visits AS
    (
        SELECT
            visitor,
            cell.1 AS dimension,
            cell.2 AS value,
            count() AS cell_visits,
            sum(views) AS cell_views,
            sum(interactions) AS cell_events,
            count() AS cell_entries,
            sum(bounced) AS cell_bounces,
            sum(engaged) AS cell_engaged
        FROM visits
        ARRAY JOIN [
            ('', emptyArrayString()),
            ('entry', sections(began.1)),
            ('exit', sections(exit_page)),
            ('source', began.2),
            ('campaign', began.3),
            ('place', fixed.1),
            ('network', fixed.2),
            ('device', fixed.3),
            ('browser', fixed.4),
            ('os', fixed.5),
            ('screen', fixed.6),
            ('language', fixed.7)
        ] AS cell
        GROUP BY visitor, dimension, value
    ),
    -- What a visit has many times; entries and bounces where it began.
    of_hits AS
    (
        SELECT
            visitor,
            dimension,
            value,
            count() AS cell_visits,
            sum(hit_views) AS cell_views,
            sum(hit_events) AS cell_events,
            sum(hit_entries) AS cell_entries,
            sum(hit_bounces) AS cell_bounces,
            sum(hit_engaged) AS cell_engaged
        FROM
        (
            SELECT
                visitor,
                session,
                cell.1 AS dimension,
                cell.2 AS value,
                sum(hit.5) AS hit_views,
                sum(hit.6) AS hit_events,
                toUInt64(max(cell.3)) AS hit_entries,
                toUInt64(max(cell.3 AND bounced)) AS hit_bounces,
                sum(hit.7) AS hit_engaged
            FROM (SELECT visitor, session, began.1 AS entry_page, began_hour, bounced, hit FROM visits ARRAY JOIN hits AS hit)
            ARRAY JOIN arrayConcat(
                [
                    ('page', sections(hit.1), hit.1 = entry_page),
                    ('event', [hit.2], false),
                    ('hour', [hit.3], hit.3 = leftPad(began_hour, 2, '0'))
                ],
                arrayMap(
                    goal -> ('goal', [goal], false),
                    if(empty({goals:Array(Tuple(String, UInt8, String))}), emptyArrayString(), if(empty(hit.4), [''], hit.4))
                )
            ) AS cell
            GROUP BY visitor, session, dimension, value
        )
        GROUP BY visitor, dimension, value
    )
SELECT
    {seal:UInt64},
    dimension,
    value,
    countIf(visitor != 0 AND head),
    countIf(visitor != 0),
    sum(cell_visits),
    sum(cell_views),
    sum(cell_views),
    sum(cell_events),
    sum(cell_entries),
    sum(cell_bounces),
    sum(cell_engaged)
FROM
(
    SELECT *, value = max(value) OVER (PARTITION BY dimension, visitor) AS head
    FROM (SELECT * FROM of_visits UNION ALL SELECT * FROM of_hits)
)
GROUP BY dimension, value
