-- Makes a settling visible, if the day still is what it was when it was begun.
INSERT INTO settled_days (site, day, settling, rows, fingerprint, time_zone, until, month)
VALUES ({site:UInt64}, {day:Date}, {settling:UInt64}, {rows:UInt64}, {fingerprint:UInt64}, {tz:String}, {until:UInt32}, {month:Bool})
