-- Subscriptions of one site or (0) of all, by site, user and kind.
SELECT site, user, kind, made_by, created, version, deleted
FROM subscriptions FINAL
WHERE deleted = 0 AND ({site:UInt64} = 0 OR site = {site:UInt64})
ORDER BY site, user, kind
