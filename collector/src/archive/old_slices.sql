-- Slices of seals that did not end; younger ones may still be at work.
SELECT DISTINCT seal FROM archive_slices WHERE seal < {before:UInt64}
