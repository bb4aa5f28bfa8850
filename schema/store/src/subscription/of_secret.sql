-- The letter that has the link with this hash.
SELECT site, user, kind
FROM mail_deliveries
WHERE secret = toFixedString(unhex({secret:String}), 32)
LIMIT 1
