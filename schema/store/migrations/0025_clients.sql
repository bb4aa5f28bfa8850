-- The client whose site it is: a folder of the list of sites.
ALTER TABLE sites ADD COLUMN IF NOT EXISTS client String AFTER name;
