-- Removes settlings; waits for it (mutations_sync = 2).
ALTER TABLE {table:Identifier} DELETE
WHERE site IN {sites:Array(UInt64)} AND has(
    arrayZip({sites:Array(UInt64)}, {days:Array(UInt16)}, {settlings:Array(UInt64)}),
    (site, toUInt16(day), settling)
)
