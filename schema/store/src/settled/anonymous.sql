-- Settles the anonymous hits of one day: those that agree in every field are one row.
INSERT INTO settled_page_visits
    (@columns@)
SELECT
    {site:UInt64},
    false,
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
    outbound,
    download,
    consent,
    @fields@,
    sum(hits.views),
    sum(hits.events),
    0,
    max(hits.scroll),
    false,
    0,
    0
FROM (@hits@) AS hits
WHERE session = 0
GROUP BY hour, hostname, page, event, outbound, download, consent, @fields@
