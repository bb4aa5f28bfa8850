-- What visitors' days add to a dimension of which they have several values: of more than {values}, as many chosen by
-- chance; of the hits of each, at most {most}.
SELECT '@dimension@' AS dimension, cell.1 AS value, count() AS count, sum(least(cell.2, {most:UInt64})) AS hits
FROM
(
    SELECT
        arrayJoin(arraySlice(
            arraySort(cell -> cityHash64({release:UInt64}, visitor, cell.1), groupArray((value, number))), 1, {values:UInt64}
        )) AS cell
    FROM
    (
        SELECT day, settling, visitor, arrayJoin(@values@) AS value, sum(@number@) AS number
        FROM settled_page_visits
        WHERE site = {site:UInt64}
            AND day BETWEEN toDate({first:UInt16}) AND toDate({last:UInt16})
            AND has(arrayZip({days:Array(UInt16)}, {settlings:Array(UInt64)}), (toUInt16(day), settling))
            AND visitor != 0
        GROUP BY day, settling, visitor, value
    )
    GROUP BY day, settling, visitor
)
GROUP BY value
