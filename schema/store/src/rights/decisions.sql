-- The decisions recorded under a consent receipt.
SELECT toUnixTimestamp64Milli(time) AS at, granted, refused, gpc, toString(notice_version) AS version,
    toString(consent_source) AS source
FROM consent_receipts
WHERE site = {site:UInt64} AND receipt = {receipt:String} AND receipt != ''
ORDER BY time
LIMIT {limit:UInt64}
