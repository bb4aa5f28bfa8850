-- The day that is not over is settled up to an hour, so that a report puts together only what came after it. What the
-- columns mean, and when they are used, is said in schema/store/src/settled.rs.

-- The fingerprint of raw events by hour: tells whether an hour, and a day, still is what was settled.
ALTER TABLE events DROP PROJECTION IF EXISTS fingerprint;
ALTER TABLE events ADD PROJECTION IF NOT EXISTS fingerprints
(
    SELECT site, day, toStartOfHour(time), count(), sum(cityHash64(time, kind, visitor, session, view, seq, path))
    GROUP BY site, day, toStartOfHour(time)
);
ALTER TABLE events MATERIALIZE PROJECTION IF EXISTS fingerprints;

-- The hour up to which a day was settled; 1970 stands for all of it.
ALTER TABLE settled_days ADD COLUMN IF NOT EXISTS until DateTime('UTC');
