-- Settles what visits of one day did and what was measured of them beyond pages, after the visits: one row per hit, with the
-- fields of its visit. Anonymous hits have their own.
INSERT INTO settled_details
    (@columns@)
SELECT
    {site:UInt64},
    kind,
    {day:Date},
    {settling:UInt64},
    visitor,
    session,
    @own@,
    @fields@
FROM (@details@) AS hits
LEFT JOIN
(
    SELECT visitor, session, @names@
    FROM settled_visits
    WHERE site = {site:UInt64} AND day = {day:Date} AND settling = {settling:UInt64} AND @slice@
) AS visits USING (visitor, session)
