-- Rewrites a table so that versions that were replaced are gone; what was removed goes with the next statement.
OPTIMIZE TABLE {table:Identifier} FINAL
