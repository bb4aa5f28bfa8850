-- Removes everything that was settled of some days; waits for it (mutations_sync = 2).
ALTER TABLE {table:Identifier} DELETE WHERE site = {site:UInt64} AND toUInt16(day) IN {days:Array(UInt16)}
