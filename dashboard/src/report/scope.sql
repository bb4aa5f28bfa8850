-- What every report begins with, after keep_all.sql or keep_some.sql: the hits and the visits it is about.
--
-- Fields of a hit that stay the same during a visit (place, device, language) choose hits.
-- Fields of one page or event (page, hostname, event) choose what is counted (`matching`) and, for figures of
-- visits, the visits in which it occurs. Fields of a visit (entry, exit, source, campaign) are those of its first
-- pageview and choose visits.
--
-- A visit that goes on after midnight is one visit of each day, so that days add up (and the archive, which knows only
-- days, counts the same).
--
-- `session` is 0 for the anonymous pageviews of visitors who are not measured; each stands for itself.
    hits AS
    (
        SELECT
            time, kind, tier, granted, refused, gpc, visitor, session, engaged_ms, interactive,
            '' AS everything,
            events.day AS day,
            formatDateTime(toStartOfHour(toTimeZone(time, {tz:String})), '%Y-%m-%d %H:00', {tz:String}) AS hour,
            toString(hostname) AS hostname,
            path AS page,
            if(kind = 'custom', toString(name), '') AS event,
            toString(if(source = '', referrer_host, source)) AS source,
            toString(channel) AS channel,
            if(referrer_path = '', toString(referrer_host), concat(referrer_host, referrer_path)) AS referrer,
            toString(utm_source) AS utm_source,
            toString(utm_medium) AS utm_medium,
            toString(utm_campaign) AS utm_campaign,
            toString(country) AS country,
            toString(region) AS region,
            toString(city) AS city,
            if(device = 'unknown', '', toString(device)) AS device,
            toString(browser) AS browser,
            toString(os) AS os,
            if(screen = 'unknown', '', toString(screen)) AS screen,
            toString(language) AS language,
            keep('page', page) AND keep('hostname', hostname) AND keep('event', event) AS matching
        FROM events
        WHERE site = {site:UInt64}
            AND time < fromUnixTimestamp64Milli({until:Int64}, 'UTC')
            AND events.day BETWEEN {from:Date} AND {to:Date}
            AND events.day NOT IN {skip:Array(Date)}
            AND keep('country', country)
            AND keep('region', region)
            AND keep('city', city)
            AND keep('device', device)
            AND keep('browser', browser)
            AND keep('os', os)
            AND keep('screen', screen)
            AND keep('language', language)
    ),
    visits AS
    (
        SELECT
            session,
            any(visitor) AS visitor,
            '' AS everything,
            hits.day AS day,
            min(hits.hour) AS hour,
            argMinIf(hits.hostname, time, kind = 'pageview') AS hostname,
            argMinIf(page, time, kind = 'pageview') AS entry_page,
            argMaxIf(page, time, kind = 'pageview') AS exit_page,
            argMinIf(hits.source, time, kind = 'pageview') AS source,
            argMinIf(hits.channel, time, kind = 'pageview') AS channel,
            argMinIf(hits.referrer, time, kind = 'pageview') AS referrer,
            argMinIf(hits.utm_source, time, kind = 'pageview') AS utm_source,
            argMinIf(hits.utm_medium, time, kind = 'pageview') AS utm_medium,
            argMinIf(hits.utm_campaign, time, kind = 'pageview') AS utm_campaign,
            any(hits.country) AS country,
            any(hits.region) AS region,
            any(hits.city) AS city,
            any(hits.device) AS device,
            any(hits.browser) AS browser,
            any(hits.os) AS os,
            any(hits.screen) AS screen,
            any(hits.language) AS language,
            countIf(kind = 'pageview' AND matching) AS views,
            countIf(kind = 'custom' AND matching) AS events,
            countIf(kind = 'pageview') = 1 AND NOT max(interactive) AS bounced,
            sum(engaged_ms) AS engaged
        FROM hits
        WHERE session != 0
        GROUP BY hits.day, session
        HAVING max(matching)
            AND keep('entry_page', entry_page)
            AND keep('exit_page', exit_page)
            AND keep('source', source)
            AND keep('channel', channel)
            AND keep('referrer', referrer)
            AND keep('utm_source', utm_source)
            AND keep('utm_medium', utm_medium)
            AND keep('utm_campaign', utm_campaign)
    ),
    anonymous AS
    (
        SELECT *, '' AS entry_page, '' AS exit_page
        FROM hits
        WHERE session = 0
            AND matching
            AND keep('entry_page', '')
            AND keep('exit_page', '')
            AND keep('source', source)
            AND keep('channel', channel)
            AND keep('referrer', referrer)
            AND keep('utm_source', utm_source)
            AND keep('utm_medium', utm_medium)
            AND keep('utm_campaign', utm_campaign)
    )
