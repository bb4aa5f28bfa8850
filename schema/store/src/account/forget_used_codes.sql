-- Deletes the marks of a user's used recovery codes: they end with the secret. Those of time steps stay for
-- their day.
DELETE FROM used_codes WHERE user = {user:UInt64} AND step = 0
