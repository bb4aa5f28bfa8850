-- Who made the lock: the first who signed.
SELECT argMin(holder, time) FROM {lock:Identifier}
