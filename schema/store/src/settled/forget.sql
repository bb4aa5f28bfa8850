-- Removes everything that was settled of some days of sites; waits for it (mutations_sync = 2).
ALTER TABLE {table:Identifier} DELETE
WHERE site IN {sites:Array(UInt64)}
    AND has(arrayZip({sites:Array(UInt64)}, {days:Array(UInt16)}), (site, toUInt16(day)))
