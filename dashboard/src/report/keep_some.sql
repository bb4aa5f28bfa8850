-- How every report with filters begins. A filter is a field, a verb (is, is not, contains) and values; a field without
-- a filter costs little, because its condition is a constant.
WITH
    CAST({is:Array(Tuple(String, Array(String)))}, 'Map(String, Array(String))') AS wanted,
    CAST({isnt:Array(Tuple(String, Array(String)))}, 'Map(String, Array(String))') AS unwanted,
    CAST({has:Array(Tuple(String, Array(String)))}, 'Map(String, Array(String))') AS containing,
    (field, value) -> (empty(wanted[field]) OR has(wanted[field], value))
        AND (empty(unwanted[field]) OR NOT has(unwanted[field], value))
        AND (empty(containing[field]) OR multiSearchAnyCaseInsensitiveUTF8(value, containing[field]))
        AS keep,
