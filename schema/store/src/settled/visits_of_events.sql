-- Visits of raw events: one row per day and session.
--
-- Where a visit came from and began is what its first pageview says; place, device and language are those of its last
-- hit, since consent given during a visit adds detail. A visit that goes on after midnight is one visit of each day, so
-- that days add up. Hits of the same millisecond are told apart by the number of their page view: the same visit is
-- found however often it is asked for.
--
-- Rows of `events` lie in the order of visitor and session, so that visits are put together one after the other and
-- not all at once (optimize_aggregation_in_order).
SELECT
    day,
    visitor,
    session,
    hour,
    began.1 AS hostname,
    began.2 AS entry_page,
    exit_page,
    began.3 AS source,
    began.4 AS channel,
    began.5 AS referrer,
    began.6 AS utm_source,
    began.7 AS utm_medium,
    began.8 AS utm_campaign,
    began.9 AS utm_content,
    began.10 AS utm_term,
    began.11 AS click_id,
    known.1 AS country,
    known.2 AS region,
    known.3 AS city,
    known.4 AS network,
    known.5 AS network_kind,
    known.6 AS device,
    known.7 AS browser,
    known.8 AS browser_version,
    known.9 AS os,
    known.10 AS os_version,
    known.11 AS screen,
    known.12 AS language,
    views,
    named AS events,
    bounced,
    engaged,
    pages
FROM
(
    WITH
        bitOr(bitShiftLeft(toUInt64(toUnixTimestamp64Milli(time)), 22), bitAnd(view, 4194303)) AS moment
    SELECT
        day,
        visitor,
        session,
        toStartOfHour(toDateTime(min(time), {tz:String})) AS hour,
        argMinIf(
            (
                hostname, path, if(source = '', referrer_host, source), channel,
                if(referrer_path = '', toString(referrer_host), concat(referrer_host, referrer_path)),
                utm_source, utm_medium, utm_campaign, utm_content, utm_term, click_id
            ),
            moment,
            kind = 'pageview'
        ) AS began,
        argMaxIf(path, moment, kind = 'pageview') AS exit_page,
        argMax(
            (
                country, region, city, network, if(network_kind = 'unknown', '', toString(network_kind)),
                if(device = 'unknown', '', toString(device)), browser, browser_version, os, os_version,
                if(screen = 'unknown', '', toString(screen)), language
            ),
            moment
        ) AS known,
        countIf(kind = 'pageview') AS views,
        countIf(kind = 'custom') AS named,
        views = 1 AND NOT max(interactive) AS bounced,
        sum(engaged_ms) AS engaged,
        arraySlice(
            arrayMap(page -> page.2, arraySort(groupArrayIf((moment, path), kind = 'pageview'))),
            1,
            {pages:UInt16}
        ) AS pages
    FROM events
    WHERE site = {site:UInt64}
        AND day IN {raw:Array(Date)}
        AND time < fromUnixTimestamp64Milli({until:Int64}, 'UTC')
        AND session != 0
    GROUP BY site, day, visitor, session
)
