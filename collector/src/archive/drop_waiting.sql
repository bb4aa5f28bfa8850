ALTER TABLE archive_waiting DROP PARTITION ({site:UInt64}, {month:Date})
