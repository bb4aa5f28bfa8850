-- Merges a table so that replaced versions are gone; rows marked as deleted go with the next statement.
OPTIMIZE TABLE {table:Identifier} FINAL
