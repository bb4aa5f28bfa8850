-- Settles the visits of one day.
INSERT INTO settled_visits
    (@columns@)
SELECT
    {site:UInt64},
    {day:Date},
    {settling:UInt64},
    visitor,
    session,
    visitor != 0 AND visitor NOT IN (@repeated@),
    @fields@
FROM (@visits@)
