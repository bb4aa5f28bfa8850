-- The lock's holder: the first to sign it.
SELECT argMin(holder, time) FROM {lock:Identifier}
