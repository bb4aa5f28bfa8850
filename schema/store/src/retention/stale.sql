-- How many rows in the tables of accounts and settings were replaced by a newer version or removed.
SELECT toInt64(assumeNotNull(
    (SELECT count() FROM users) - (SELECT count() FROM users FINAL)
    + (SELECT count() FROM members) - (SELECT count() FROM members FINAL)
    + (SELECT count() FROM tokens) - (SELECT count() FROM tokens FINAL)
    + (SELECT count() FROM invitations) - (SELECT count() FROM invitations FINAL)
    + (SELECT count() FROM shared_links) - (SELECT count() FROM shared_links FINAL)
    + (SELECT count() FROM public_sites) - (SELECT count() FROM public_sites FINAL)
    + (SELECT count() FROM subscriptions) - (SELECT count() FROM subscriptions FINAL)
    + (SELECT count() FROM goals) - (SELECT count() FROM goals FINAL)
    + (SELECT count() FROM funnels) - (SELECT count() FROM funnels FINAL)
    + (SELECT count() FROM segments) - (SELECT count() FROM segments FINAL)
    + (SELECT count() FROM annotations) - (SELECT count() FROM annotations FINAL)
    + (SELECT count() FROM sites) - (SELECT count() FROM sites FINAL)))
