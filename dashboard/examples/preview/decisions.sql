-- Decisions of two consent managers, more of them agreeing as time goes by.
INSERT INTO events (site, day, expires, time, kind, tier, granted, refused, gpc, hostname, path, receipt,
    notice_version, consent_source)
SELECT
    {site:UInt64},
    toDate(at, 'Europe/Paris'),
    today() + 90,
    at,
    'consent',
    'minimal',
    if(yes, if(a % 5 = 0, 5, if(a % 9 = 0, 7, 15)), 1) AS said,
    bitAnd(15, bitNot(said)),
    a % 9 = 0,
    'kite.example',
    '/',
    lower(hex(a)),
    if(number > 1800, '2026-03', '2026-04'),
    if(a % 10 < 7, 'sotto-banner', 'klaro')
FROM
(
    SELECT
        number,
        cityHash64(number, 21) AS a,
        cityHash64(number, 22) % 100 < 62 - intDiv(number, 250) AS yes,
        now64(3) - toIntervalSecond(number * 1700 + a % 1500) AS at
    FROM numbers(2600)
)
