-- Some raw events of a site and day in the order of the table, which needs no sorting.
SELECT * FROM events
WHERE site = {site:UInt64} AND day = toDate({day:UInt16})
    AND visitor >= {first_visitor:UInt64} AND visitor <= {last_visitor:UInt64}
    AND time >= fromUnixTimestamp64Milli({first_time:Int64}) AND time <= fromUnixTimestamp64Milli({last_time:Int64})
ORDER BY site, day, visitor, session, time
