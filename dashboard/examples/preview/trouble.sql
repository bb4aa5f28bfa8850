-- A site behind a proxy that is not trusted, whose host name is written wrongly, and hits that name no site.
INSERT INTO outcomes (site, hour, outcome, reason, hits)
SELECT
    if(ended.2 = 'unknown_site', 0, {site:UInt64}),
    toStartOfHour(now('UTC')) - toIntervalHour(number),
    ended.1,
    ended.2,
    1 + cityHash64(number, ended.2) % ended.3
FROM numbers(24 * 9)
ARRAY JOIN [
    ('stored', '', 12), ('dropped', 'foreign_hostname', 9), ('dropped', 'bot_user_agent', 3),
    ('dropped', 'unknown_site', 4), ('address', 'private', 20)
] AS ended
