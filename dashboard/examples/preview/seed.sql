-- Sixty-one days of believable traffic for one site: a weekly and a daily curve, growth, campaigns, consent.
INSERT INTO events (site, day, expires, time, kind, tier, granted, refused, gpc, hostname, path, referrer_host, country,
    device, visitor, session, view, seq, source, region, city, browser, browser_version, os, os_version, screen,
    engaged_ms, scroll, name, interactive, language, channel, utm_source, utm_medium, utm_campaign)
WITH
    ['/', '/pricing', '/work', '/work/kite-festival', '/about', '/journal', '/journal/type-that-breathes', '/contact',
     '/services/brand', '/services/web', '/journal/quiet-interfaces', '/careers', '/work/harbour-museum', '/imprint', '/privacy'] AS pages,
    ['', '', '', 'Google', 'Google', 'Google', 'Google', 'Bing', 'DuckDuckGo', 'LinkedIn', 'Hacker News', 'Newsletter', 'Mastodon', 'ChatGPT', 'Google', 'siteinspire.com'] AS sources,
    ['Direct', 'Direct', 'Direct', 'Organic Search', 'Organic Search', 'Organic Search', 'Paid Search', 'Organic Search', 'Organic Search', 'Organic Social', 'Referral', 'Email', 'Organic Social', 'AI', 'Organic Search', 'Referral'] AS channels,
    ['', '', '', 'google.com', 'google.de', 'google.fr', 'google.com', 'bing.com', 'duckduckgo.com', 'linkedin.com', 'news.ycombinator.com', '', 'mastodon.social', 'chatgpt.com', 'google.com', 'siteinspire.com'] AS hosts,
    ['FR', 'FR', 'FR', 'FR', 'DE', 'DE', 'DE', 'GB', 'GB', 'US', 'US', 'NL', 'BE', 'CH', 'ES', 'IT', 'CA', 'SE', 'JP', 'IN'] AS countries,
    ['Île-de-France', 'Île-de-France', 'Auvergne-Rhône-Alpes', 'Brittany', 'Berlin', 'Bavaria', 'Hamburg', 'England', 'Scotland', 'California', 'New York', 'North Holland', 'Brussels Capital', 'Zurich', 'Catalonia', 'Lombardy', 'Quebec', 'Stockholm', 'Tokyo', 'Karnataka'] AS regions,
    ['Paris', 'Paris', 'Lyon', 'Rennes', 'Berlin', 'Munich', 'Hamburg', 'London', 'Edinburgh', 'San Francisco', 'New York', 'Amsterdam', 'Brussels', 'Zurich', 'Barcelona', 'Milan', 'Montreal', 'Stockholm', 'Tokyo', 'Bengaluru'] AS cities,
    ['Chrome', 'Chrome', 'Chrome', 'Safari', 'Safari', 'Firefox', 'Edge', 'Chrome', 'Samsung Internet', 'Opera'] AS browsers,
    ['Windows', 'macOS', 'Android', 'iOS', 'macOS', 'Linux', 'Windows', 'Android', 'Android', 'Windows'] AS systems,
    ['desktop', 'desktop', 'mobile', 'mobile', 'desktop', 'desktop', 'desktop', 'mobile', 'tablet', 'desktop'] AS devices,
    visit AS
    (
        SELECT
            number AS n,
            cityHash64(number, 1) AS a,
            cityHash64(number, 2) AS b,
            cityHash64(number, 3) AS c,
            today() - 60 + toUInt32(floor(60.999 * pow((cityHash64(number, 4) % 100000) / 100000, 0.86))) AS date,
            toUInt32(43200 + 30000 * (toFloat64(a % 1000) + toFloat64(b % 1000) - 999) / 999) AS second,
            toDateTime64(toDateTime(date, 'Europe/Paris'), 3, 'UTC') + toIntervalSecond(second) AS start,
            c % 100 < 17 AS anonymous,
            c % 100 >= 62 AS consented,
            if(anonymous, 1, least(9, toUInt8(1 - 1.6 * log((b % 997 + 1) / 998)))) AS views
        FROM numbers(52000)
        WHERE (toDayOfWeek(date) < 6 OR a % 100 < 55)
    ),
    step AS
    (
        SELECT *, arrayJoin(range(if(anonymous, 1, toUInt64(views) * 2))) AS i, intDiv(i, 2) AS k, cityHash64(n, k, 5) AS d
        FROM visit
    )
SELECT
    {site:UInt64},
    date,
    today() + 90,
    start + toIntervalSecond(if(anonymous, 0, k * 45 + (i % 2) * 40)) AS at,
    if(i % 2 = 0, 'pageview', if(d % 23 = 0, 'custom', 'engagement')),
    if(anonymous, 'minimal', 'full'),
    if(consented, 1 + 4 + if(c % 3 = 0, 8, 0), 0),
    if(anonymous, 14, if(consented, 0, if(c % 7 = 0, 8, 0))),
    c % 11 = 0,
    'kite.example',
    pages[1 + toUInt32(floor(14.99 * pow((d % 1000) / 1000, if(k = 0, 2.6, 1.5))))],
    if(k = 0, hosts[1 + b % 16], ''),
    countries[1 + a % 20],
    devices[1 + (a + b) % 10],
    if(anonymous, 0, cityHash64(date, a % 40000, 6)),
    if(anonymous, 0, cityHash64(n, 7)),
    if(anonymous, 0, cityHash64(n, k, 8)),
    if(anonymous, 0, i),
    if(k = 0 AND NOT anonymous, sources[1 + b % 16], ''),
    if(anonymous, '', regions[1 + a % 20]),
    if(anonymous, '', cities[1 + a % 20]),
    if(anonymous, '', browsers[1 + (a + b) % 10]),
    if(anonymous, '', toString(120 + a % 4)),
    if(anonymous, '', systems[1 + (a + b) % 10]),
    if(anonymous, '', toString(10 + a % 4)),
    if(anonymous, 'unknown', ['lg', 'xl', 'xs', 'xs', 'lg', 'xl', 'lg', 'sm', 'md', 'lg'][1 + (a + b) % 10]),
    if(i % 2 = 1, toUInt32(4000 + d % 60000), 0),
    if(i % 2 = 1, 20 + d % 80, 0),
    if(i % 2 = 1 AND d % 23 = 0, ['Sign up', 'Download brochure', 'Play reel'][1 + d % 3], ''),
    i % 2 = 1 AND d % 23 = 0,
    if(consented, ['fr', 'de', 'en', 'en', 'nl'][1 + a % 5], ''),
    if(k = 0 AND consented, channels[1 + b % 16], ''),
    if(k = 0 AND consented AND b % 16 IN (6, 11), ['google', 'newsletter'][1 + b % 2], ''),
    if(k = 0 AND consented AND b % 16 IN (6, 11), ['cpc', 'email'][1 + b % 2], ''),
    if(k = 0 AND consented AND b % 16 IN (6, 11), ['autumn-brand', 'october-letter', 'museum-launch'][1 + a % 3], '')
FROM step
WHERE at <= now64(3)
