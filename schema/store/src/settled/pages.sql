-- Settles the page visits of one day, after its visits: hits of a visit that agree in hour, host name, page, event, link
-- and consent are one row.
--
-- alone   the visitor had no other visit that day, so that the visit stands for its visitor
-- firsts  whether the row is the first of its visit with this page (1), host name (2), event (4) and hour (8), with
--         this page on this host name (16), with this outbound link (32) and this download (64), so that visits with a
--         value can be counted without comparing them
-- depth   the deepest scroll position of the visit on the page, in the first row of the two; 0 in others
INSERT INTO settled_page_visits
    (@columns@)
SELECT
    {site:UInt64},
    true,
    {day:Date},
    {settling:UInt64},
    visitor,
    session,
    alone,
    marked.1,
    marked.2.1,
    marked.2.2,
    marked.2.3,
    marked.2.4,
    marked.2.5,
    marked.2.6,
    marked.2.7,
    @fields@,
    marked.2.8,
    marked.2.9,
    marked.2.10,
    marked.2.11,
    visits.bounced,
    visits.engaged,
    if(bitTest(marked.1, 0), marked.2.12, 0)
FROM
(
    SELECT
        visitor,
        session,
        groupArray((hour, hostname, page, event, outbound, download, consent, views, named, engaged, scroll, depth)) AS rows,
        arrayMap(
            (page, hostname, event, hour, both, outbound, download) -> toUInt8(
                (page = 1) + 2 * (hostname = 1) + 4 * (event = 1) + 8 * (hour = 1) + 16 * (both = 1)
                + 32 * (outbound = 1) + 64 * (download = 1)
            ),
            arrayEnumerateUniq(rows.3),
            arrayEnumerateUniq(rows.2),
            arrayEnumerateUniq(rows.4),
            arrayEnumerateUniq(rows.1),
            arrayEnumerateUniq(rows.3, rows.2),
            arrayEnumerateUniq(rows.5),
            arrayEnumerateUniq(rows.6)
        ) AS firsts
    FROM
    (
        SELECT *, max(scroll) OVER (PARTITION BY visitor, session, page) AS depth
        FROM
        (
            SELECT
                visitor,
                session,
                hour,
                hostname,
                page,
                event,
                outbound,
                download,
                consent,
                sum(hits.views) AS views,
                sum(hits.events) AS named,
                sum(hits.engaged) AS engaged,
                max(hits.scroll) AS scroll
            FROM (@hits@) AS hits
            WHERE session != 0 AND @slice@
            GROUP BY visitor, session, hour, hostname, page, event, outbound, download, consent
        )
    )
    GROUP BY visitor, session
) AS seen
INNER JOIN
(
    SELECT visitor, session, alone, bounced, engaged, @names@
    FROM settled_visits
    WHERE site = {site:UInt64} AND day = {day:Date} AND settling = {settling:UInt64} AND @slice@
) AS visits USING (visitor, session)
ARRAY JOIN arrayZip(firsts, rows) AS marked
