-- Visitors who agreed to be known again, by the random number that their browser keeps. Rows of others have the number
-- 0 and are not looked at.
--
-- first day  looked for as far back as such a number can be old (13 months), if raw rows are still there
-- days       days of the period with a hit
-- visits     visits of the period with a hit after the visitor had agreed
SELECT
    count() AS visitors,
    countIf(before) AS known_before,
    countIf(NOT before AND days > 1) AS came_back,
    sum(people.visits) AS visits,
    countIf(days = 1) AS days_1,
    countIf(days = 2) AS days_2,
    countIf(days BETWEEN 3 AND 5) AS days_3,
    countIf(days > 5) AS days_6
FROM
(
    SELECT
        returning,
        min(events.day) < {from:Date} AS before,
        uniqExactIf(events.day, events.day >= {from:Date}) AS days,
        uniqExactIf(session, events.day >= {from:Date} AND session != 0) AS visits
    FROM events
    WHERE site = {site:UInt64}
        AND events.day BETWEEN toDate({from:Date}) - {oldest:UInt16} AND {to:Date}
        AND returning != 0
    GROUP BY returning
    HAVING days > 0
) AS people
