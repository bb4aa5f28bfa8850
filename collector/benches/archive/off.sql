-- How far the visitors of the ten greatest pages of the month are off in its release: the median, in per cent.
WITH
    counted AS
    (
        SELECT toString(page) AS value, uniqExact(day, visitor) AS number
        FROM settled_page_visits
        WHERE site = {site:UInt64}
        GROUP BY value
        ORDER BY number DESC
        LIMIT 10
    ),
    released AS
    (
        SELECT cell.1 AS value, cell.2 AS number
        FROM archive
        ARRAY JOIN arrayZip(values, counts) AS cell
        WHERE site = {site:UInt64} AND dimension = 'page' AND period = 'month' AND NOT anonymous
    )
SELECT quantileExact(0.5)(100 * abs(toFloat64(released.number) - counted.number) / counted.number)
FROM counted
INNER JOIN released USING (value)
