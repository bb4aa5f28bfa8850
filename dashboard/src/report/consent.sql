-- How the pageviews were counted and what their visitors had said about analytics (bit 4 of the masks).
SELECT
    countIf(tier = 'full') AS full,
    countIf(tier = 'full' AND bitAnd(hits.granted, 4) != 0) AS agreed,
    countIf(tier = 'minimal') AS anonymous,
    countIf(bitAnd(hits.granted, 4) != 0) AS granted,
    countIf(bitAnd(hits.refused, 4) != 0) AS refused,
    countIf(bitAnd(hits.granted, 4) = 0 AND bitAnd(hits.refused, 4) = 0) AS undecided,
    countIf(hits.gpc) AS gpc
FROM hits
WHERE kind = 'pageview' AND matching
    AND (NOT {narrow:Bool} OR session = 0 OR (day, session) IN (SELECT day, session FROM visits))
