-- Drops a month that is due.
ALTER TABLE {table:Identifier} DROP PARTITION ID {partition:String}
