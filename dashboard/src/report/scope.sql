-- What every report begins with: the hits and the visits it is about, by site, days and filters.
--
-- A filter is a field, a verb (is, is not, contains) and values; a field without a filter costs nothing, because its
-- condition is a constant. Fields of a hit that stay the same during a visit (place, device, language) choose hits.
-- Fields of one page or event (page, hostname, event) choose what is counted (`matching`) and, for figures of
-- visits, the visits in which it occurs. Fields of a visit (entry, exit, source, campaign) are those of its first
-- pageview and choose visits.
--
-- `session` is 0 for the anonymous pageviews of visitors who are not measured; each stands for itself.
WITH
    CAST({is:Array(Tuple(String, Array(String)))}, 'Map(String, Array(String))') AS wanted,
    CAST({isnt:Array(Tuple(String, Array(String)))}, 'Map(String, Array(String))') AS unwanted,
    CAST({has:Array(Tuple(String, Array(String)))}, 'Map(String, Array(String))') AS containing,
    (field, value) -> (empty(wanted[field]) OR has(wanted[field], value))
        AND (empty(unwanted[field]) OR NOT has(unwanted[field], value))
        AND (empty(containing[field]) OR arrayExists(part -> positionCaseInsensitiveUTF8(value, part) > 0, containing[field]))
        AS keep,
    hits AS
    (
        SELECT
            time, kind, tier, granted, refused, gpc, visitor, session, engaged_ms, interactive,
            '' AS everything,
            toString(day) AS day,
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
            min(hits.day) AS day,
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
        GROUP BY session
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
