-- Cells of what a visit has many times, of the visitors of one day whose keys lie between {first} and {last}.
--
-- heads      visitors, each counted at one of their values only: the last in the order of text, so that an event
--            comes before no event, and a page before the home page
-- visitors   visitors with the value
-- visits     visits with the value
-- entries    visits that began with it, and of those
-- bounces    visits with one pageview and no interaction
INSERT INTO archive_slices
    (seal, dimension, path, heads, visitors, visits, pageviews, measured_views, events, entries, bounces, engaged_ms)
WITH
    page -> [concat('/', arrayElement(splitByChar('/', page), 2)), page] AS sections,
    moment -> leftPad(toString(toHour(toTimeZone(moment, {tz:String}))), 2, '0') AS on_clock,
    (what, page, event) -> arrayMap(
        goal -> goal.1,
        arrayFilter(
            goal -> if(goal.2 = 1, what = 'pageview' AND match(page, goal.3), what = 'custom' AND event = goal.3),
            {goals:Array(Tuple(String, UInt8, String))}
        )
    ) AS reached,
    hits AS
    (
        SELECT
            events.visitor AS visitor,
            session,
            kind = 'pageview' AS is_view,
            kind = 'custom' AS is_event,
            interactive,
            time,
            events.path AS page,
            if(kind = 'custom', toString(name), '') AS event,
            on_clock(time) AS hour,
            reached(kind, events.path, name) AS goals,
            events.engaged_ms AS engaged
        FROM events
        WHERE site = {site:UInt64} AND day = {day:Date} AND session != 0
            AND events.visitor BETWEEN {first:UInt64} AND {last:UInt64}
    ),
    visits AS
    (
        SELECT
            session,
            argMinIf(hits.page, time, is_view) AS entry_page,
            min(hits.hour) AS entry_hour,
            countIf(is_view) = 1 AND NOT max(interactive) AS bounced
        FROM hits
        GROUP BY session
    ),
    visitors AS
    (
        SELECT
            visitor,
            max(hits.page) AS last_page,
            max(hits.event) AS last_event,
            max(hits.hour) AS last_hour,
            max(arrayMax(arrayPushBack(hits.goals, ''))) AS last_goal
        FROM hits
        GROUP BY visitor
    )
SELECT
    {seal:UInt64},
    cell.1 AS dimension,
    cell.2 AS value,
    uniqExactIf(visitor, visitor != 0 AND cell.3),
    uniqExactIf(visitor, visitor != 0),
    uniqExact(session),
    countIf(is_view),
    countIf(is_view),
    countIf(is_event),
    uniqExactIf(session, cell.4),
    uniqExactIf(session, cell.4 AND bounced),
    sum(engaged)
FROM hits
INNER JOIN visits USING (session)
INNER JOIN visitors USING (visitor)
ARRAY JOIN arrayConcat(
    [
        ('page', sections(page), page = last_page, page = entry_page),
        ('event', [event], event = last_event, false),
        ('hour', [hour], hour = last_hour, hour = entry_hour)
    ],
    arrayMap(
        goal -> ('goal', [goal], goal = last_goal, false),
        if(empty({goals:Array(Tuple(String, UInt8, String))}), emptyArrayString(), if(empty(goals), [''], goals))
    )
) AS cell
GROUP BY dimension, value
