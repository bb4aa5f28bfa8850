-- The share of visitors, and of pageviews in a report of pages, whose value is in the release of its day or month, in per cent.
WITH
    released AS
    (
        SELECT day, arrayJoin(values) AS value
        FROM archive
        WHERE site = {site:UInt64} AND dimension = {dimension:String} AND period = {period:String} AND NOT anonymous
    ),
    counted AS
    (
        SELECT
            if({period:String} = 'month', toStartOfMonth(settled_page_visits.day), settled_page_visits.day) AS on_day,
            if({dimension:String} = 'page', toString(page), if({dimension:String} = 'source', toString(source),
                if({dimension:String} = 'country', toString(country), toString(city)))) AS value,
            if({dimension:String} = 'page', toFloat64(sum(views)), toFloat64(uniqExact(settled_page_visits.day, visitor))) AS number
        FROM settled_page_visits
        WHERE site = {site:UInt64}
        GROUP BY on_day, value
    )
SELECT 100 * sumIf(number, (on_day, value) IN (SELECT day, value FROM released)) / sum(number)
FROM counted
