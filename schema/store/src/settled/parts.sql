-- Partitions of the figures of settled days that lie in many small parts.
SELECT partition_id
FROM system.parts
WHERE active AND database = currentDatabase() AND table = 'settled_cells'
GROUP BY partition_id
HAVING count() > {parts:UInt64} AND sum(bytes_on_disk) < {bytes:UInt64}
