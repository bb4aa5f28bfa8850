-- What the user of a sign-in may do where; site 0 stands for all sites.
SELECT user, site, role, version, deleted
FROM members FINAL
WHERE deleted = 0
    AND user IN (
        SELECT user FROM sign_ins FINAL
        WHERE id = toFixedString(unhex({id:String}), 32) AND deleted = 0 AND expires > fromUnixTimestamp64Milli({now:Int64}, 'UTC')
    )
ORDER BY site
