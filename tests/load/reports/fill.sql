-- Made-up traffic of one day of a site, for the bench of the reports: {visits} visits of about three hits each, and
-- {anonymous} page views of visitors who are not measured, in {seconds} seconds from {begin} seconds after midnight. 2,000 pages in five sections, 60 sources, 30 countries and
-- 4,000 cities, all with few common and many rare values; 1,000 sites that are linked to and 100 files. A quarter of the
-- visits sends web vitals once and the clicks of each page, on 40 elements. Part {part} of {parts}.
INSERT INTO events (site, day, expires, time, kind, tier, granted, refused, gpc, hostname, path, referrer_host, country, device, visitor, session, view, seq, source,
 referrer_path, region, city, asn, network, network_kind, browser, browser_version, os, os_version, screen, engaged_ms, scroll, name, interactive, props, language, channel, utm_source, utm_medium, utm_campaign,
 utm_content, utm_term, click_id, revenue, currency, lcp_ms, fcp_ms, inp_ms, ttfb_ms, cls_milli, click_path, click_at)
WITH
 toDate({day:Date}) AS d,
 (h, n) -> toUInt32(pow(n, (h % 100000) / 100000.)) AS zipf,
 if(i < hits, i DIV 2, if(i > hits, i - hits - 1, 0)) AS viewed,
 1 + cityHash64(h, i, 'n') % 3 AS clicks
SELECT {site:UInt64}, d, d + {kept:UInt16}, toDateTime64(d, 3, {tz:String}) + {begin:UInt32} + (h % 57600) / 57600 * {seconds:UInt32} + i * 20 AS t,
 multiIf(i > hits, 'click', i = hits, 'vitals', i % 2 = 1, 'engagement', custom AND i = hits - 1, 'custom', 'pageview') AS k,
 if(anon, 'minimal', 'full'), if(anon, 1, 5), if(anon AND h % 3 = 0, 4, 0), h % 50 = 0,
 if(h % 20 = 0, 'shop.example', 'big.example'),
 concat('/', ['blog','docs','shop','help','news'][1 + zipf(cityHash64(h, viewed, 'p'), 2000) % 5], '/page-', toString(zipf(cityHash64(h, viewed, 'p'), 2000))),
 if(src = 1, '', concat('site', toString(src), '.example')),
 ['DE','FR','US','GB','AT','CH','NL','ES','IT','PL','SE','DK','NO','FI','BE','CZ','PT','IE','CA','AU','BR','IN','JP','MX','ZA','AR','CL','NZ','TR','UA'][zipf(cityHash64(who,'c'), 31)],
 ['desktop','mobile','tablet'][1 + who % 3],
 if(anon, 0, bitOr(cityHash64(d, who), 1)), if(anon, 0, bitOr(h, 1)), if(anon, 0, cityHash64(h, viewed)), i,
 if(src = 1 OR anon, '', concat('Source ', toString(src))), if(src = 1 OR anon, '', concat('/from/', toString(h % 50))),
 if(anon, '', concat('Region ', toString(zipf(cityHash64(who,'c'), 200)))), if(anon, '', concat('City ', toString(zipf(cityHash64(who,'c'), 4000)))),
 if(anon, 0, who % 500), if(anon, '', concat('Network ', toString(who % 500))), if(anon, 'unknown', 'consumer'),
 if(anon, '', ['Chrome','Safari','Firefox','Edge','Samsung Internet','Opera'][zipf(cityHash64(who,'b'), 7)]), if(anon, '', toString(120 + who % 20)),
 if(anon, '', ['Windows','Android','iOS','macOS','Linux'][zipf(cityHash64(who,'o'), 6)]), if(anon, '', toString(10 + who % 5)),
 if(anon, 'unknown', ['xs','sm','md','lg','xl'][1 + who % 5]),
 if(k = 'engagement', 1000 + cityHash64(h, i) % 60000, 0), if(k = 'engagement', cityHash64(h, i, 's') % 101, 0),
 if(k = 'custom', ['Sign up','download','Play','outbound'][1 + h % 4], ''), k = 'custom',
 multiIf(k != 'custom', map(), h % 4 = 1, map('url', concat('https://big.example/file-', toString(zipf(cityHash64(h, 'f'), 100)), '.pdf')),
  h % 4 = 3, map('url', concat('https://site', toString(zipf(cityHash64(h, 'l'), 1000)), '.example/')), map('plan', ['free','pro'][1 + h % 2])),
 if(granted_pref, ['de','en','fr'][1 + who % 3], ''), if(anon OR camp = 0, '', 'paid_search'),
 if(anon OR camp = 0, '', 'google'), if(anon OR camp = 0, '', 'cpc'), if(anon OR camp = 0, '', concat('Campaign ', toString(camp))),
 if(anon OR camp = 0, '', concat('Content ', toString(zipf(cityHash64(h, 'a'), 20)))), if(anon OR camp = 0, '', concat('term ', toString(zipf(cityHash64(h, 't'), 300)))),
 if(anon OR camp = 0, '', ['gclid','gbraid','msclkid'][1 + h % 3]),
 if(k = 'custom' AND h % 4 = 0, 9 + h % 90, 0), if(k = 'custom' AND h % 4 = 0, ['EUR','USD','CHF'][1 + h % 3], ''),
 if(k = 'vitals', toUInt32(800 + exp(cityHash64(h, 'lcp') % 9000 / 1000.)), 0), if(k = 'vitals', 500 + cityHash64(h, 'fcp') % 2500, 0),
 if(k = 'vitals' AND h % 8 = 0, 20 + cityHash64(h, 'inp') % 500, 0), if(k = 'vitals', 50 + cityHash64(h, 'ttfb') % 2000, 0),
 if(k = 'vitals', cityHash64(h, 'cls') % 300, 0),
 if(k = 'click', arrayMap(n -> concat('#main>section:', toString(1 + zipf(cityHash64(h, i, n, 'e'), 40)), '>a'), range(clicks)), []),
 if(k = 'click', arrayMap(n -> toUInt32(cityHash64(h, i, n, 'at') % 1001), range(clicks * 4)), [])
FROM
(
 SELECT number < {anonymous:UInt64} AS anon, number AS v, cityHash64({day:Date}, {site:UInt64}, number) AS h, (number * 7919) % toUInt64({visits:UInt64} * 0.85) AS who,
  h % 5 = 0 AND NOT anon AS custom, if(anon, 1, 2 * (1 + toUInt32(-log(1 - (cityHash64(h,'n') % 1000) / 1001.) * 1.2)) + custom) AS hits, zipf(cityHash64(h, 's'), 60) AS src,
  if(h % 12 = 0, 1 + h % 25, 0) AS camp, h % 4 = 0 AND NOT anon AS granted_pref,
  hits - custom AS paged, if(granted_pref, 1 + paged DIV 2, 0) AS more
 FROM numbers({visits:UInt64} + {anonymous:UInt64})
 WHERE number % {parts:UInt64} = {part:UInt64}
)
ARRAY JOIN range(hits + more) AS i
