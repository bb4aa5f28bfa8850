-- Deletes the due rows from a week that also holds others; waits for it (mutations_sync = 2).
ALTER TABLE events DELETE IN PARTITION ID {partition:String}
WHERE has(
    arrayZip({sites:Array(UInt64)}, {days:Array(UInt16)}, {expires:Array(UInt16)}),
    (site, toUInt16(day), toUInt16(expires)))
