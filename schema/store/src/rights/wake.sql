-- Removes old parts that are due. The thread that does so sleeps for up to ten minutes where little happens (measured), and
-- nothing wakes it; dropping a partition removes them at once. There is no such partition: the day is no Monday, no month
-- has it, and a table without partitions has one of another name.
ALTER TABLE {table:Identifier} DROP PARTITION ID '19700102'
