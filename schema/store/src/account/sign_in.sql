-- A signed-in browser that has not expired, with its user.
SELECT s.id AS id, s.user AS user, s.created AS created, s.expires AS expires, u.email AS email, u.name AS name,
       u.created AS joined, u.password AS password
FROM (SELECT * FROM sign_ins FINAL WHERE id = toFixedString(unhex({id:String}), 32)) AS s
INNER JOIN (SELECT * FROM users FINAL WHERE deleted = 0) AS u ON u.id = s.user
WHERE s.deleted = 0 AND s.expires > fromUnixTimestamp64Milli({now:Int64}, 'UTC')
LIMIT 1
