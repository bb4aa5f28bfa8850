-- Removes settlings; waits for it (mutations_sync = 2).
ALTER TABLE {table:Identifier} DELETE
WHERE site = {site:UInt64} AND has(arrayZip({days:Array(UInt16)}, {settlings:Array(UInt64)}), (toUInt16(day), settling))
