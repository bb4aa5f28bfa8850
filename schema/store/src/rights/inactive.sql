-- Parts that no query reads any more and that are still on disk: they may hold rows that were erased. Without the column
-- _state, those that are being deleted would not be listed.
SELECT table, name
FROM system.parts
WHERE database = currentDatabase() AND has({tables:Array(String)}, table) AND _state IN ('Outdated', 'Deleting', 'DeleteOnDestroy')
