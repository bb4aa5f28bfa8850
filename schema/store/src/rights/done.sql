-- Forgets mutations that are done: their files name what was to be erased.
KILL MUTATION WHERE database = currentDatabase() AND table = 'events' AND is_done
