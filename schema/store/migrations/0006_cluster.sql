-- Several collectors: each writes of its copies of the salts in a chain of its own. The lines of an only collector
-- have no name, as before.
ALTER TABLE salt_ledger ADD COLUMN IF NOT EXISTS collector LowCardinality(String);
