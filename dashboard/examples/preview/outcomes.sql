-- What became of the hits of a site that is well set up.
INSERT INTO outcomes (site, hour, outcome, reason, hits)
SELECT
    {site:UInt64},
    toStartOfHour(now('UTC')) - toIntervalHour(number) AS at,
    ended.1,
    ended.2,
    toUInt64(ended.3 * (0.35 + 0.65 * abs(sin(toHour(at) * 0.13))) * (0.7 + cityHash64(number, ended.2) % 60 / 100)) AS hits
FROM numbers(24 * 60)
ARRAY JOIN [
    ('stored', '', 90.), ('minimised', '', 21.), ('dropped', 'bot_user_agent', 30.), ('dropped', 'bot_ai', 9.),
    ('dropped', 'bot_automated', 3.), ('dropped', 'bot_network', 6.), ('dropped', 'foreign_hostname', 2.),
    ('dropped', 'referrer_spam', 1.6), ('dropped', 'opted_out', 2.5), ('dropped', 'invalid_payload', 1.2),
    ('address', 'public', 140.), ('address', 'private', 3.)
] AS ended
WHERE hits > 0
