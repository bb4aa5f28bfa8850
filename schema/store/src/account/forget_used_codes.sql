-- Forgets the recovery codes that a user used: they end with the secret. Steps stay for their day.
DELETE FROM used_codes WHERE user = {user:UInt64} AND step = 0
