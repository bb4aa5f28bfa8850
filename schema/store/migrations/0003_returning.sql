-- Visitors who agreed to be known again: the random number that their browser keeps for at most 13 months.
ALTER TABLE events ADD COLUMN IF NOT EXISTS returning UInt64;
