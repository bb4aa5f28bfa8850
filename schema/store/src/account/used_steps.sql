-- How often a step of six digits, or a later one, was used.
SELECT count() FROM used_codes WHERE user = {user:UInt64} AND step >= {step:UInt64}
