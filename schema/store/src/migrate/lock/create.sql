-- Takes the lock: of all who create it, one succeeds.
CREATE TABLE {lock:Identifier}
(
    holder String,
    time DateTime64(3, 'UTC') DEFAULT now64(3)
)
ENGINE = MergeTree
ORDER BY time
