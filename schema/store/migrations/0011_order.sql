-- Rows without a visitor agree in all that the table was sorted by, so they lay in the order in which they came: the
-- receipt of a decision beside the visit, page views of someone who refused beside each other. Now a number that is made
-- of nothing but the row itself decides. Rows that were stored before keep their order until they expire.
ALTER TABLE events
    ADD COLUMN IF NOT EXISTS shuffle UInt32,
    MODIFY ORDER BY (site, day, visitor, session, time, shuffle);
