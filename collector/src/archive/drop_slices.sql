ALTER TABLE archive_slices DROP PARTITION {seal:UInt64}
