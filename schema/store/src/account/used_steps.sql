-- How often the code of a time step, or of a later one, was used.
SELECT count() FROM used_codes WHERE user = {user:UInt64} AND step >= {step:UInt64}
