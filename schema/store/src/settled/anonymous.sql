-- Settles the anonymous hits of one day: those that agree in every field are one row.
INSERT INTO settled_pages
    (@columns@)
SELECT
    {site:UInt64},
    {day:Date},
    {settling:UInt64},
    0,
    0,
    false,
    0,
    hour,
    hostname,
    page,
    event,
    @fields@,
    sum(hits.views),
    sum(hits.events),
    0,
    max(hits.scroll),
    sum(hits.full),
    sum(hits.agreed),
    sum(hits.granted),
    sum(hits.refused),
    sum(hits.undecided),
    sum(hits.gpc)
FROM (@hits@) AS hits
WHERE session = 0
GROUP BY hour, hostname, page, event, @fields@
