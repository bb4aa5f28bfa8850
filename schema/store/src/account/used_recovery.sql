-- How often a recovery code was used.
SELECT count() FROM used_codes
WHERE user = {user:UInt64} AND step = 0 AND code = toFixedString(unhex({code:String}), 32)
