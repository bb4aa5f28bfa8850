-- Raw events as reports count them, one row each. `session` is 0 for the anonymous hits of visitors who are not measured;
-- each stands for itself, with the fields of its own.
SELECT
    day,
    visitor,
    session,
    toStartOfHour(toDateTime(time, {tz:String})) AS hour,
    hostname,
    path AS page,
    if(kind = 'custom', name, '') AS event,
    '' AS entry_page,
    '' AS exit_page,
    if(e.source = '', referrer_host, e.source) AS source,
    channel,
    if(referrer_path = '', toString(referrer_host), concat(referrer_host, referrer_path)) AS referrer,
    utm_source,
    utm_medium,
    utm_campaign,
    country,
    region,
    city,
    if(e.device = 'unknown', '', toString(e.device)) AS device,
    browser,
    os,
    if(e.screen = 'unknown', '', toString(e.screen)) AS screen,
    language,
    toUInt64(kind = 'pageview') AS views,
    toUInt64(kind = 'custom') AS events,
    toUInt64(engaged_ms) AS engaged,
    scroll,
    views * (tier = 'full') AS full,
    views * (tier = 'full' AND bitAnd(e.granted, 4) != 0) AS agreed,
    views * (bitAnd(e.granted, 4) != 0) AS granted,
    views * (bitAnd(e.refused, 4) != 0) AS refused,
    views * (bitAnd(bitOr(e.granted, e.refused), 4) = 0) AS undecided,
    views * toUInt8(e.gpc) AS gpc
FROM events AS e
WHERE site = {site:UInt64}
    AND day IN {raw:Array(Date)}
    AND time < fromUnixTimestamp64Milli({until:Int64}, 'UTC')
