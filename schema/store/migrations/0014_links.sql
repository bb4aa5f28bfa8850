-- Outbound links and downloads of hits; and figures by campaign content and
-- term, click id, network, and versions of browsers and systems, which are now named with what they are a version of. What
-- was settled before is settled again from raw events.
ALTER TABLE settled_visits ADD COLUMN IF NOT EXISTS seen_outbound Array(LowCardinality(String)) CODEC(ZSTD(1));
ALTER TABLE settled_visits ADD COLUMN IF NOT EXISTS seen_download Array(LowCardinality(String)) CODEC(ZSTD(1));
ALTER TABLE settled_page_visits ADD COLUMN IF NOT EXISTS outbound LowCardinality(String) AFTER event;
ALTER TABLE settled_page_visits ADD COLUMN IF NOT EXISTS download LowCardinality(String) AFTER outbound;
TRUNCATE TABLE IF EXISTS settled_days;
TRUNCATE TABLE IF EXISTS settled_visits;
TRUNCATE TABLE IF EXISTS settled_page_visits;
TRUNCATE TABLE IF EXISTS settled_cells;
TRUNCATE TABLE IF EXISTS settled_months;
