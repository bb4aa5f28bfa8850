-- Deletes rows marked as deleted (mutations_sync = 2). Only marks of a certain age: a newer mark may have
-- older versions next to it that the preceding merge has not seen.
ALTER TABLE {table:Identifier} DELETE WHERE deleted = 1 AND version < {before:UInt64}
