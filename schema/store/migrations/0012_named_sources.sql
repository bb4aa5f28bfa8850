-- Sources of anonymous pageviews are named, channels follow from sources, what could not be told has a value of its
-- own (schema/store/src/settled/naming.rs), and a host is the same with and without www. What was settled before is settled again from raw events.
TRUNCATE TABLE IF EXISTS settled_days;
TRUNCATE TABLE IF EXISTS settled_visits;
TRUNCATE TABLE IF EXISTS settled_page_visits;
TRUNCATE TABLE IF EXISTS settled_cells;
TRUNCATE TABLE IF EXISTS settled_months;
