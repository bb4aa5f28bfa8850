-- Numbers of all locks of a name.
SELECT toUInt64(substring(name, length({name:String}) + 2)) AS generation
FROM system.tables
WHERE database = currentDatabase() AND match(name, concat('^', {name:String}, '_[0-9]+$'))
ORDER BY generation
