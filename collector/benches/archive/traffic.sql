-- A day of visits with the distributions of the prototype: values of Zipf's law, 2.1 pageviews a visit on average.
INSERT INTO events
    (
        site, day, expires, time, kind, tier, hostname, path, visitor, session, view, source, channel, country, region, city,
        network, device, browser, os, screen, engaged_ms
    )
WITH
    (values, exponent) -> arrayCumSum(arrayMap(n -> pow(n, -exponent), range(1, values + 1))) AS weights,
    (values, exponent, seed) -> arrayFirstIndex(
        sum -> sum >= (seed % 1000000) / 1000000. * arraySum(arrayMap(n -> pow(n, -exponent), range(1, values + 1))),
        weights(values, exponent)
    ) AS zipf
SELECT
    {site:UInt64},
    toDate('2026-03-01') + visit.1 AS day,
    toDate('2099-01-01'),
    toDateTime64(day, 3, 'UTC') + INTERVAL (sipHash64(visit, 'time') % 80000 + views.1 * 60) SECOND,
    'pageview',
    'full',
    'a.example',
    concat('/s', toString(views.2 % 12), '/p', toString(views.2)),
    sipHash64(visit),
    sipHash64(visit),
    sipHash64(visit, views.1),
    concat('S', toString(zipf(60, 1.4, sipHash64(visit, 'source')))),
    concat('C', toString(zipf(10, 1., sipHash64(visit, 'channel')))),
    concat('L', toString(zipf(60, 1.8, sipHash64(visit, 'country')))),
    concat('R', toString(zipf(120, 1.3, sipHash64(visit, 'region')))),
    concat('T', toString(zipf(400, 1., sipHash64(visit, 'city')))),
    concat('N', toString(zipf(150, 1.2, sipHash64(visit, 'network')))),
    if(sipHash64(visit, 'device') % 3 = 0, 'desktop', 'mobile'),
    concat('B', toString(zipf(14, 1.6, sipHash64(visit, 'browser')))),
    concat('O', toString(zipf(8, 1.2, sipHash64(visit, 'os')))),
    if(sipHash64(visit, 'device') % 3 = 0, 'lg', 'xs'),
    sipHash64(visit, 'engaged') % 200000
FROM
(
    SELECT
        (intDiv(number, {visits:UInt64}), number) AS visit,
        -- One to five views, 2.1 on average.
        arrayJoin(arrayMap(
            n -> (n, zipf(200, 1.1, sipHash64(visit, n))),
            range(1, 2 + toUInt64(pow((sipHash64(visit, 'views') % 1000) / 1000., 2.2) * 4.4))
        )) AS views
    FROM numbers({visits:UInt64} * {day:UInt64}, {visits:UInt64})
)
