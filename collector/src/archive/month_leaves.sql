-- The leaves of a month: cells that were no leaf of their day, joined over the days, then up the taxonomy, until they
-- describe at least k people. What is left is the month's remainder (an empty path).
--
-- partial    the value is a leaf on other days of the month. What a leaf of its month says about the days without one
--            could then be set off against their remainders, so a cell of such a value climbs only where the other
--            cells of its day (those of values that are a leaf on no day) have k heads; elsewhere it is `veiled`, and
--            is no part of a leaf of its value, but of a coarser one.
-- people     a number that the leaf's people are not below: visitors of one value, over the days; heads where values
--            were joined
INSERT INTO archive_leaves
    (
        site, seal, dimension, month, day, path, people, heads, visitors, visits, pageviews, measured_views, events,
        entries, bounces, engaged_ms
    )
WITH
    waiting AS
    (
        SELECT
            *,
            max(leaf) OVER (PARTITION BY dimension, path) AS partial
        FROM archive_waiting
        WHERE site = {site:UInt64} AND month = {month:Date} AND seal IN {seals:Array(UInt64)} AND dimension != ''
    ),
    anchored AS
    (
        SELECT *, sumIf(heads, NOT partial) OVER (PARTITION BY dimension, day) AS anchor
        FROM waiting
        WHERE NOT leaf
    ),
    -- The month's cells of one value each; settled are those that are leaves.
    values AS
    (
        SELECT
            dimension,
            partial AND anchor < {k:UInt8} AS veiled,
            if(veiled, arrayPushBack(arrayPopBack(path), ''), path) AS at,
            sum(visitors) AS people,
            [
                sum(heads), sum(visitors), sum(visits), sum(pageviews), sum(measured_views), sum(events),
                sum(entries), sum(bounces), sum(engaged_ms)
            ] AS counts,
            people >= {k:UInt8} AND NOT veiled AS settled
        FROM anchored
        GROUP BY dimension, at, veiled
    ),
    -- Three times up the taxonomy, which has three levels at most.
    parents AS
    (
        SELECT
            dimension,
            if(values.settled, values.at, arrayPopBack(values.at)) AS at,
            values.settled AS was,
            if(was, sum(values.people), sum(values.counts[1])) AS people,
            sumForEach(values.counts) AS counts,
            was OR (people >= {k:UInt8} AND notEmpty(at)) AS settled
        FROM values
        GROUP BY dimension, at, was
    ),
    grandparents AS
    (
        SELECT
            dimension,
            if(parents.settled, parents.at, arrayPopBack(parents.at)) AS at,
            parents.settled AS was,
            if(was, sum(parents.people), sum(parents.counts[1])) AS people,
            sumForEach(parents.counts) AS counts,
            was OR (people >= {k:UInt8} AND notEmpty(at)) AS settled
        FROM parents
        GROUP BY dimension, at, was
    ),
    climbed AS
    (
        SELECT
            dimension,
            if(grandparents.settled, grandparents.at, arrayPopBack(grandparents.at)) AS at,
            grandparents.settled AS was,
            if(was, sum(grandparents.people), sum(grandparents.counts[1])) AS people,
            sumForEach(grandparents.counts) AS counts
        FROM grandparents
        GROUP BY dimension, at, was
    ),
    -- A remainder of fewer than k takes the smallest of the coarsest leaves in.
    ranked AS
    (
        SELECT
            *,
            sumIf(people, empty(at)) OVER whole AS remainder,
            countIf(empty(at)) OVER whole AS remains,
            row_number() OVER (PARTITION BY dimension ORDER BY empty(at), length(at), people, at) AS place
        FROM climbed
        WINDOW whole AS (PARTITION BY dimension)
    ),
    folded AS
    (
        SELECT
            dimension,
            if(remains > 0 AND remainder < {k:UInt8} AND place = 1, emptyArrayString(), ranked.at) AS at,
            sumForEach(ranked.counts) AS counts,
            greatest(max(ranked.people), counts[1]) AS people
        FROM ranked
        GROUP BY dimension, at
    )
SELECT
    {site:UInt64},
    {seal:UInt64},
    dimension,
    {month:Date},
    toDate(0),
    at,
    people,
    counts[1],
    counts[2],
    counts[3],
    counts[4],
    counts[5],
    counts[6],
    counts[7],
    counts[8],
    counts[9]
FROM folded
