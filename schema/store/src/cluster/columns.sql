-- Columns of all tables of {database}. Views are left out: their data is in their target tables.
SELECT table, name, type
FROM system.columns
WHERE database = {database:String}
    AND table IN (SELECT name FROM system.tables WHERE database = {database:String} AND engine NOT LIKE '%View')
ORDER BY table, position
