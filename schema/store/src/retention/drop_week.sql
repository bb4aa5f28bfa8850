-- Drops a week of raw events, all of which are due.
ALTER TABLE events DROP PARTITION ID {partition:String}
