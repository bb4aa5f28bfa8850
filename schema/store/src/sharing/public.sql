-- Sites whose reports anybody may read.
SELECT site FROM public_sites FINAL WHERE deleted = 0 ORDER BY site
