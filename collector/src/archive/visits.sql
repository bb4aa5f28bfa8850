-- Cells of what a visit has once, of the visitors of one day whose keys lie between {first} and {last}: one row per
-- dimension and value.
--
-- Rows of `events` lie in the order of visitor and session, so that visits are put together one after the other and
-- not all at once. Values are those of the reports (dashboard/src/report/scope.sql).
--
-- heads      visitors, each counted at the value of one of their visits only, so that heads add up
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
                    events.path, toString(channel), toString(if(source = '', referrer_host, source)),
                    toString(utm_source), toString(utm_medium), toString(utm_campaign)
                ),
                time,
                kind = 'pageview'
            ) AS began,
            argMaxIf(events.path, time, kind = 'pageview') AS exit_page,
            any((
                toString(country), toString(region), toString(city), toString(network_kind), toString(network),
                toString(device), toString(browser), toString(browser_version), toString(os), toString(os_version),
                toString(screen), toString(language)
            )) AS fixed,
            countIf(kind = 'pageview') AS views,
            countIf(kind = 'custom') AS interactions,
            views = 1 AND NOT max(interactive) AS bounced,
            sum(events.engaged_ms) AS engaged
        FROM events
        WHERE site = {site:UInt64} AND day = {day:Date} AND session != 0
            AND events.visitor BETWEEN {first:UInt64} AND {last:UInt64}
        GROUP BY site, day, events.visitor, session
    ),
    -- The visit at which its visitor is counted.
    counted AS
    (
        SELECT events.visitor AS visitor, min(events.session) AS first_session
        FROM events
        WHERE site = {site:UInt64} AND day = {day:Date} AND events.session != 0 AND events.visitor != 0
            AND events.visitor BETWEEN {first:UInt64} AND {last:UInt64}
        GROUP BY site, day, events.visitor
    )
SELECT
    {seal:UInt64},
    cell.1 AS dimension,
    cell.2 AS value,
    countIf((visitor, session) IN counted),
    uniqExactIf(visitor, visitor != 0),
    count(),
    sum(views),
    sum(views),
    sum(interactions),
    count(),
    countIf(bounced),
    sum(engaged)
FROM visits
ARRAY JOIN [
    ('', emptyArrayString()),
    ('entry', sections(began.1)),
    ('exit', sections(exit_page)),
    ('source', [began.2, began.3]),
    ('campaign', [began.4, began.5, began.6]),
    ('place', [fixed.1, fixed.2, fixed.3]),
    ('network', [if(fixed.4 = 'unknown', '', fixed.4), fixed.5]),
    ('device', [if(fixed.6 = 'unknown', '', fixed.6)]),
    ('browser', [fixed.7, fixed.8]),
    ('os', [fixed.9, fixed.10]),
    ('screen', [if(fixed.11 = 'unknown', '', fixed.11)]),
    ('language', [fixed.12])
] AS cell
GROUP BY dimension, value
