-- All sites that are not removed, newest version of each.
SELECT id, key, name, client, hostnames, time_zone, preset, policy, retention_days, archive_epsilon, created, version, deleted
FROM sites FINAL
WHERE deleted = 0
ORDER BY name, id
