-- Rows without a visitor agree in all that the table was sorted by, so they lay in the order in which they came: the
-- receipt of a decision beside the visit, page views of someone who refused beside each other. Now a number that is made
-- of nothing but the row itself decides. Rows that were stored before keep their order until they expire.
ALTER TABLE events
    ADD COLUMN IF NOT EXISTS shuffle UInt32,
    MODIFY ORDER BY (site, day, visitor, session, time, shuffle);

-- After a merge or an erasure, ClickHouse keeps the parts that were read for it for eight minutes, as what it wrote may not be
-- on disk yet. With what was written on disk at once, seconds are enough: what is erased is gone when that is said.
ALTER TABLE events MODIFY SETTING
    old_parts_lifetime = 4, fsync_part_directory = 1, min_rows_to_fsync_after_merge = 1, min_compressed_bytes_to_fsync_after_merge = 1;
ALTER TABLE settled_days MODIFY SETTING
    old_parts_lifetime = 4, fsync_part_directory = 1, min_rows_to_fsync_after_merge = 1, min_compressed_bytes_to_fsync_after_merge = 1;
ALTER TABLE settled_months MODIFY SETTING
    old_parts_lifetime = 4, fsync_part_directory = 1, min_rows_to_fsync_after_merge = 1, min_compressed_bytes_to_fsync_after_merge = 1;
ALTER TABLE settled_visits MODIFY SETTING
    old_parts_lifetime = 4, fsync_part_directory = 1, min_rows_to_fsync_after_merge = 1, min_compressed_bytes_to_fsync_after_merge = 1;
ALTER TABLE settled_page_visits MODIFY SETTING
    old_parts_lifetime = 4, fsync_part_directory = 1, min_rows_to_fsync_after_merge = 1, min_compressed_bytes_to_fsync_after_merge = 1;
ALTER TABLE settled_cells MODIFY SETTING
    old_parts_lifetime = 4, fsync_part_directory = 1, min_rows_to_fsync_after_merge = 1, min_compressed_bytes_to_fsync_after_merge = 1;
