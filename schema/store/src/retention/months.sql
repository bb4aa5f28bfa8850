-- The months that a table holds, with their row counts and partitions.
SELECT partition_id AS partition, toUInt16(max(max_date)) AS last, sum(rows) AS rows
FROM
(
    SELECT partition_id, rows, greatest(toDate(max_time), max_date) AS max_date
    FROM system.parts
    WHERE active AND database = currentDatabase() AND table = {table:String}
)
GROUP BY partition_id
ORDER BY partition_id
