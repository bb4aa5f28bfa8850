-- Events of one day of a large site: visits of five events on average, thousands of pages and cities, one hit in ten
-- anonymous.
INSERT INTO events
    (
        site, day, expires, time, kind, tier, hostname, path, referrer_host, country, device, visitor, session, source,
        region, city, network, network_kind, browser, browser_version, os, os_version, screen, engaged_ms, name,
        interactive, language, channel, utm_source, utm_medium, utm_campaign
    )
SELECT
    {site:UInt64},
    {day:Date},
    toDate('2099-01-01'),
    toDateTime64({day:Date}, 3, 'UTC') + INTERVAL (cityHash64(number, 1) % 86400) SECOND,
    if(number % 20 < 12, 'pageview', if(number % 20 < 19, 'engagement', 'custom')),
    if(alone, 'minimal', 'full'),
    'a.example',
    concat('/s', toString(page % 40), '/p', toString(page)),
    '',
    concat('C', toString(city % 60)),
    if(who % 3 = 0, 'desktop', 'mobile'),
    if(alone, 0, sipHash64(who)),
    if(alone, 0, sipHash64(who, cityHash64(number, 2) % 4 = 0)),
    concat('S', toString(intDiv(who, 7) % 300)),
    concat('R', toString(city % 900)),
    concat('T', toString(city)),
    concat('N', toString(who % 700)),
    'consumer',
    concat('B', toString(who % 9)),
    toString(intDiv(who, 9) % 40),
    concat('O', toString(who % 6)),
    toString(intDiv(who, 6) % 20),
    if(who % 3 = 0, 'lg', 'xs'),
    if(number % 20 BETWEEN 12 AND 18, 9000, 0),
    if(number % 20 = 19, concat('E', toString(number % 30)), ''),
    number % 20 = 19,
    arrayElement(['de', 'fr', 'en', 'it'], 1 + who % 4),
    arrayElement(['Direct', 'Search', 'Social', 'E-mail'], 1 + intDiv(who, 7) % 4),
    if(who % 10 = 0, concat('U', toString(who % 13)), ''),
    '',
    if(who % 10 = 0, concat('K', toString(who % 31)), '')
FROM
(
    SELECT
        number,
        number % 10 = 0 AS alone,
        cityHash64(number, 3) % greatest(intDiv({rows:UInt64}, 8), 1) AS who,
        -- Few pages and cities have most of the hits.
        toUInt32(pow((cityHash64(number, 4) % 100000) / 100000., 4) * 20000) AS page,
        toUInt32(pow((cityHash64(who, 5) % 100000) / 100000., 3) * 4000) AS city
    FROM numbers({from:UInt64}, {count:UInt64})
)
