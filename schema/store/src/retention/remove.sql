-- Rewrites a table without what was removed (mutations_sync = 2). Only what was removed a while ago: a newer mark may have older
-- versions beside it that the merge before has not seen.
ALTER TABLE {table:Identifier} DELETE WHERE deleted = 1 AND version < {before:UInt64}
