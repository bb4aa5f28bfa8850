-- What was recorded under the number of a consent receipt. Identical rows are one decision that was sent twice.
SELECT DISTINCT
    toUnixTimestamp64Milli(consent_receipts.time) AS at,
    granted,
    refused,
    gpc,
    toString(notice_version) AS version,
    toString(consent_source) AS source
FROM consent_receipts
WHERE site = {site:UInt64} AND receipt = {receipt:String}
ORDER BY at
LIMIT {limit:UInt64}
