-- Tokens that may change sites, goals and shared links.
ALTER TABLE tokens MODIFY COLUMN IF EXISTS scope Enum8('read' = 1, 'write' = 2, 'manage' = 3);
