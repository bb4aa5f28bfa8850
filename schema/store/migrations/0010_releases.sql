-- The second archive: differentially private releases instead of exact cells with a threshold. What the tables mean, and
-- what is promised, is said in collector/src/archive.rs. Days whose raw events are still there are released anew; the
-- first archive is dropped, since it told too much.
DROP TABLE IF EXISTS archive_slices;
DROP TABLE IF EXISTS archive_waiting;
DROP TABLE IF EXISTS archive_leaves;
DROP TABLE IF EXISTS archive_totals;
DROP TABLE IF EXISTS archive_seals;
ALTER TABLE sites DROP COLUMN IF EXISTS archive_k;
ALTER TABLE sites ADD COLUMN IF NOT EXISTS archive_epsilon UInt8 DEFAULT 4 AFTER retention_days;

-- One row per release and dimension, written by one insert: a release is there as a whole or not at all. It is the ledger
-- of the privacy budget at the same time: `rho` and `delta` are what the row costs each visitor's day of the period.
--
-- monthly    the budget of a day was divided between its day and its month
-- anonymous  hits without a visitor, each of which is counted for itself
-- sigma      standard deviation of the noise in `counts`, `hits_sigma` of that in `hits`
-- threshold  values whose count with noise is smaller are not released
-- previous   digest of the site's release before; zeros in the first
-- digest     of everything in the release
CREATE TABLE IF NOT EXISTS archive
(
    site UInt64,
    period Enum8('day' = 1, 'month' = 2),
    day Date,
    release UInt64,
    dimension LowCardinality(String),
    anonymous Bool,
    epsilon UInt8,
    monthly Bool,
    rho Float64,
    delta Float64,
    sigma Float64,
    threshold UInt32,
    hits_sigma Float64,
    values Array(String) CODEC(ZSTD(1)),
    counts Array(UInt32) CODEC(ZSTD(1)),
    hits Array(UInt32) CODEC(ZSTD(1)),
    previous FixedString(32),
    digest FixedString(32)
)
ENGINE = MergeTree
ORDER BY (site, dimension, period, day, release);
