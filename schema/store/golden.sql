CREATE TABLE annotations (`id` UInt64,
    `site` UInt64,
    `day` Date,
    `minute` Int16,
    `text` String,
    `created` DateTime64(3, 'UTC'),
    `version` UInt64,
    `deleted` UInt8)
ENGINE = ReplacingMergeTree(version, deleted) ORDER BY (site, id) SETTINGS index_granularity = 8192;

CREATE TABLE archive (`site` UInt64,
    `period` Enum8('day' = 1, 'month' = 2),
    `day` Date,
    `release` UInt64,
    `dimension` LowCardinality(String),
    `anonymous` Bool,
    `epsilon` UInt8,
    `monthly` Bool,
    `rho` Float64,
    `delta` Float64,
    `sigma` Float64,
    `threshold` UInt32,
    `hits_sigma` Float64,
    `values` Array(String) CODEC(ZSTD(1)),
    `counts` Array(UInt32) CODEC(ZSTD(1)),
    `hits` Array(UInt32) CODEC(ZSTD(1)),
    `previous` FixedString(32),
    `digest` FixedString(32))
ENGINE = MergeTree ORDER BY (site, dimension, period, day, release) SETTINGS index_granularity = 8192;

CREATE TABLE audit_log (`time` DateTime64(3, 'UTC'),
    `actor` UInt64,
    `action` LowCardinality(String),
    `site` UInt64,
    `detail` String)
ENGINE = MergeTree PARTITION BY toYYYYMM(time) ORDER BY time SETTINGS index_granularity = 8192;

CREATE TABLE consent_receipts (`site` UInt64,
    `receipt` String,
    `time` DateTime64(3, 'UTC'),
    `granted` UInt8,
    `refused` UInt8,
    `gpc` Bool,
    `notice_version` LowCardinality(String),
    `consent_source` LowCardinality(String))
ENGINE = MergeTree PARTITION BY toYYYYMM(time) ORDER BY (site, receipt, time) SETTINGS non_replicated_deduplication_window = 10000, index_granularity = 8192;

CREATE MATERIALIZED VIEW consent_receipts_view TO consent_receipts (`site` UInt64,
    `receipt` String,
    `time` DateTime64(3, 'UTC'),
    `granted` UInt8,
    `refused` UInt8,
    `gpc` Bool,
    `notice_version` LowCardinality(String),
    `consent_source` LowCardinality(String)) AS SELECT site, receipt, time, granted, refused, gpc, notice_version, consent_source FROM events WHERE (kind = 'consent') AND (receipt != '');

CREATE TABLE consent_unmapped (`site` UInt64,
    `day` Date,
    `source` LowCardinality(String),
    `category` String,
    `times` UInt64)
ENGINE = SummingMergeTree(times) ORDER BY (site, day, source, category) TTL day + toIntervalDay(400) SETTINGS non_replicated_deduplication_window = 1000, index_granularity = 8192;

CREATE TABLE events (`site` UInt64,
    `day` Date,
    `expires` Date,
    `time` DateTime64(3, 'UTC') CODEC(Delta(8), ZSTD(1)),
    `kind` Enum8('pageview' = 0, 'engagement' = 1, 'custom' = 2, 'vitals' = 3, 'click' = 4, 'consent' = 5),
    `tier` Enum8('full' = 0, 'minimal' = 1),
    `granted` UInt8,
    `refused` UInt8,
    `gpc` Bool,
    `hostname` LowCardinality(String),
    `path` String CODEC(ZSTD(1)),
    `referrer_host` LowCardinality(String),
    `country` LowCardinality(String),
    `device` Enum8('unknown' = 0, 'desktop' = 1, 'mobile' = 2, 'tablet' = 3, 'tv' = 4, 'console' = 5, 'wearable' = 6, 'car' = 7),
    `visitor` UInt64,
    `session` UInt64,
    `view` UInt64,
    `seq` UInt32,
    `source` LowCardinality(String),
    `referrer_path` String CODEC(ZSTD(1)),
    `region` LowCardinality(String),
    `city` LowCardinality(String),
    `asn` UInt32,
    `network` LowCardinality(String),
    `network_kind` Enum8('unknown' = 0, 'consumer' = 1, 'hosting' = 2),
    `browser` LowCardinality(String),
    `browser_version` LowCardinality(String),
    `os` LowCardinality(String),
    `os_version` LowCardinality(String),
    `screen` Enum8('unknown' = 0, 'xs' = 1, 'sm' = 2, 'md' = 3, 'lg' = 4, 'xl' = 5),
    `engaged_ms` UInt32,
    `scroll` UInt8,
    `name` LowCardinality(String),
    `interactive` Bool,
    `props` Map(LowCardinality(String), String) CODEC(ZSTD(1)),
    `revenue` Decimal(18, 4),
    `currency` LowCardinality(String),
    `lcp_ms` UInt32,
    `fcp_ms` UInt32,
    `inp_ms` UInt32,
    `ttfb_ms` UInt32,
    `cls_milli` UInt32,
    `click_path` Array(String) CODEC(ZSTD(1)),
    `click_at` Array(UInt32) CODEC(ZSTD(1)),
    `language` LowCardinality(String),
    `channel` LowCardinality(String),
    `utm_source` LowCardinality(String),
    `utm_medium` LowCardinality(String),
    `utm_campaign` LowCardinality(String),
    `utm_content` LowCardinality(String),
    `utm_term` LowCardinality(String),
    `click_id` LowCardinality(String),
    `receipt` String,
    `notice_version` LowCardinality(String),
    `consent_source` LowCardinality(String),
    `returning` UInt64,
    `shuffle` UInt32, PROJECTION fingerprints (SELECT site, day, toStartOfHour(time), count(), sum(cityHash64(time, kind, visitor, session, view, seq, path)) GROUP BY site, day, toStartOfHour(time)))
ENGINE = MergeTree PARTITION BY toMonday(expires) PRIMARY KEY (site, day, visitor, session, time) ORDER BY (site, day, visitor, session, time, shuffle) SETTINGS non_replicated_deduplication_window = 10000, index_granularity = 8192, old_parts_lifetime = 4, fsync_part_directory = 1, min_rows_to_fsync_after_merge = 1, min_compressed_bytes_to_fsync_after_merge = 1;

CREATE TABLE funnels (`id` UInt64,
    `site` UInt64,
    `name` String,
    `strict` Bool,
    `kinds` Array(Enum8('page' = 1, 'event' = 2)),
    `patterns` Array(String),
    `created` DateTime64(3, 'UTC'),
    `version` UInt64,
    `deleted` UInt8)
ENGINE = ReplacingMergeTree(version, deleted) ORDER BY (site, id) SETTINGS index_granularity = 8192;

CREATE TABLE goals (`id` UInt64,
    `site` UInt64,
    `name` String,
    `kind` Enum8('page' = 1, 'event' = 2),
    `pattern` String,
    `created` DateTime64(3, 'UTC'),
    `version` UInt64,
    `deleted` UInt8)
ENGINE = ReplacingMergeTree(version, deleted) ORDER BY (site, id) SETTINGS index_granularity = 8192;

CREATE TABLE hook_deliveries (`site` UInt64,
    `hook` UInt64,
    `kind` LowCardinality(String),
    `period` String,
    `attempt` UInt8,
    `state` LowCardinality(String),
    `code` UInt16,
    `time` DateTime64(3, 'UTC'),
    `version` UInt64)
ENGINE = ReplacingMergeTree(version) ORDER BY (site, hook, kind, period, attempt) TTL toDateTime(time) + toIntervalMonth(13) SETTINGS index_granularity = 8192;

CREATE TABLE hooks (`site` UInt64,
    `id` UInt64,
    `host` String,
    `kinds` Array(String),
    `format` LowCardinality(String),
    `sealed` String,
    `made_by` UInt64,
    `created` DateTime64(3, 'UTC'),
    `version` UInt64,
    `deleted` UInt8)
ENGINE = ReplacingMergeTree(version, deleted) ORDER BY (site, id) SETTINGS index_granularity = 8192;

CREATE TABLE invitations (`id` FixedString(32),
    `email` String,
    `sites` Array(UInt64),
    `role` Enum8('viewer' = 1, 'editor' = 2, 'owner' = 3),
    `inviter` UInt64,
    `created` DateTime64(3, 'UTC'),
    `expires` DateTime64(3, 'UTC'),
    `version` UInt64,
    `deleted` UInt8)
ENGINE = ReplacingMergeTree(version, deleted) ORDER BY id TTL toDateTime(expires) SETTINGS index_granularity = 8192;

CREATE TABLE mail_deliveries (`site` UInt64,
    `user` UInt64,
    `kind` LowCardinality(String),
    `period` String,
    `attempt` UInt8,
    `state` LowCardinality(String),
    `secret` FixedString(32),
    `time` DateTime64(3, 'UTC'),
    `version` UInt64)
ENGINE = ReplacingMergeTree(version) ORDER BY (site, user, kind, period, attempt) TTL toDateTime(time) + toIntervalMonth(13) SETTINGS index_granularity = 8192;

CREATE TABLE members (`user` UInt64,
    `site` UInt64,
    `role` Enum8('viewer' = 1, 'editor' = 2, 'owner' = 3),
    `version` UInt64,
    `deleted` UInt8)
ENGINE = ReplacingMergeTree(version, deleted) ORDER BY (user, site) SETTINGS index_granularity = 8192;

CREATE TABLE outcomes (`site` UInt64,
    `hour` DateTime('UTC'),
    `outcome` LowCardinality(String),
    `reason` LowCardinality(String),
    `hits` UInt64)
ENGINE = SummingMergeTree(hits) PARTITION BY toYYYYMM(hour) ORDER BY (site, hour, outcome, reason) SETTINGS non_replicated_deduplication_window = 1000, index_granularity = 8192;

CREATE TABLE public_sites (`site` UInt64,
    `version` UInt64,
    `deleted` UInt8)
ENGINE = ReplacingMergeTree(version, deleted) ORDER BY site SETTINGS index_granularity = 8192;

CREATE TABLE salt_ledger (`seq` UInt64,
    `time` DateTime64(3, 'UTC'),
    `event` Enum8('born' = 1, 'died' = 2),
    `site` UInt64,
    `day` Date,
    `commitment` FixedString(32),
    `previous` FixedString(32),
    `hash` FixedString(32),
    `collector` LowCardinality(String))
ENGINE = MergeTree ORDER BY seq SETTINGS index_granularity = 8192;

CREATE TABLE schema_migrations (`version` UInt32,
    `name` String,
    `checksum` String,
    `applied` DateTime64(3, 'UTC') DEFAULT now64(3))
ENGINE = ReplacingMergeTree ORDER BY version SETTINGS index_granularity = 8192;

CREATE TABLE segments (`id` UInt64,
    `site` UInt64,
    `user` UInt64,
    `name` String,
    `filters` Array(String),
    `created` DateTime64(3, 'UTC'),
    `version` UInt64,
    `deleted` UInt8)
ENGINE = ReplacingMergeTree(version, deleted) ORDER BY (site, id) SETTINGS index_granularity = 8192;

CREATE TABLE settled_cells (`site` UInt64,
    `day` Date,
    `settling` UInt64,
    `dimension` LowCardinality(String),
    `value` LowCardinality(String),
    `visitors` UInt32,
    `visits` UInt32,
    `pageviews` UInt32,
    `measured_views` UInt32,
    `events` UInt32,
    `entries` UInt32,
    `bounces` UInt32,
    `engaged` UInt64)
ENGINE = MergeTree PARTITION BY toYYYYMM(day) ORDER BY (site, dimension, day, settling, value) SETTINGS index_granularity = 8192, old_parts_lifetime = 4, fsync_part_directory = 1, min_rows_to_fsync_after_merge = 1, min_compressed_bytes_to_fsync_after_merge = 1;

CREATE TABLE settled_days (`site` UInt64,
    `day` Date,
    `settling` UInt64,
    `rows` UInt64,
    `fingerprint` UInt64,
    `time_zone` LowCardinality(String),
    `month` Bool,
    `until` DateTime('UTC'))
ENGINE = MergeTree ORDER BY (site, day, settling) SETTINGS index_granularity = 8192, old_parts_lifetime = 4, fsync_part_directory = 1, min_rows_to_fsync_after_merge = 1, min_compressed_bytes_to_fsync_after_merge = 1;

CREATE TABLE settled_details (`site` UInt64,
    `kind` LowCardinality(String),
    `day` Date,
    `settling` UInt64,
    `visitor` UInt64,
    `session` UInt64,
    `hostname` LowCardinality(String),
    `page` LowCardinality(String),
    `event` LowCardinality(String),
    `outbound` LowCardinality(String),
    `download` LowCardinality(String),
    `entry_page` LowCardinality(String),
    `exit_page` LowCardinality(String),
    `source` LowCardinality(String),
    `channel` LowCardinality(String),
    `referrer` LowCardinality(String),
    `utm_source` LowCardinality(String),
    `utm_medium` LowCardinality(String),
    `utm_campaign` LowCardinality(String),
    `utm_content` LowCardinality(String),
    `utm_term` LowCardinality(String),
    `click_id` LowCardinality(String),
    `country` LowCardinality(String),
    `region` LowCardinality(String),
    `city` LowCardinality(String),
    `network` LowCardinality(String),
    `network_kind` LowCardinality(String),
    `device` LowCardinality(String),
    `browser` LowCardinality(String),
    `browser_version` LowCardinality(String),
    `os` LowCardinality(String),
    `os_version` LowCardinality(String),
    `screen` LowCardinality(String),
    `language` LowCardinality(String),
    `props` Map(LowCardinality(String), String) CODEC(ZSTD(1)),
    `revenue` Decimal(18, 4),
    `currency` LowCardinality(String),
    `lcp_ms` UInt32,
    `fcp_ms` UInt32,
    `inp_ms` UInt32,
    `ttfb_ms` UInt32,
    `cls_milli` UInt32,
    `click_path` Array(LowCardinality(String)) CODEC(ZSTD(1)))
ENGINE = MergeTree PARTITION BY toYYYYMM(day) ORDER BY (site, kind, day, settling, visitor, session) SETTINGS old_parts_lifetime = 4, fsync_part_directory = 1, min_rows_to_fsync_after_merge = 1, min_compressed_bytes_to_fsync_after_merge = 1, index_granularity = 8192;

CREATE TABLE settled_months (`site` UInt64,
    `day` Date,
    `settling` UInt64,
    `dimension` LowCardinality(String),
    `value` LowCardinality(String),
    `visitors` UInt64,
    `visits` UInt64,
    `pageviews` UInt64,
    `measured_views` UInt64,
    `events` UInt64,
    `entries` UInt64,
    `bounces` UInt64,
    `engaged` UInt64)
ENGINE = MergeTree ORDER BY (site, dimension, day, settling, value) SETTINGS index_granularity = 8192, old_parts_lifetime = 4, fsync_part_directory = 1, min_rows_to_fsync_after_merge = 1, min_compressed_bytes_to_fsync_after_merge = 1;

CREATE TABLE settled_page_visits (`site` UInt64,
    `measured` Bool,
    `day` Date,
    `settling` UInt64,
    `visitor` UInt64,
    `session` UInt64,
    `alone` Bool,
    `firsts` UInt8,
    `hour` DateTime('UTC'),
    `hostname` LowCardinality(String),
    `page` LowCardinality(String),
    `event` LowCardinality(String),
    `outbound` LowCardinality(String),
    `download` LowCardinality(String),
    `entry_page` LowCardinality(String),
    `exit_page` LowCardinality(String),
    `source` LowCardinality(String),
    `channel` LowCardinality(String),
    `referrer` LowCardinality(String),
    `utm_source` LowCardinality(String),
    `utm_medium` LowCardinality(String),
    `utm_campaign` LowCardinality(String),
    `utm_content` LowCardinality(String),
    `utm_term` LowCardinality(String),
    `click_id` LowCardinality(String),
    `country` LowCardinality(String),
    `region` LowCardinality(String),
    `city` LowCardinality(String),
    `network` LowCardinality(String),
    `network_kind` LowCardinality(String),
    `device` LowCardinality(String),
    `browser` LowCardinality(String),
    `browser_version` LowCardinality(String),
    `os` LowCardinality(String),
    `os_version` LowCardinality(String),
    `screen` LowCardinality(String),
    `language` LowCardinality(String),
    `visit_bounced` Bool,
    `visit_engaged` UInt32,
    `consent` UInt8,
    `views` UInt32,
    `events` UInt32,
    `engaged` UInt32,
    `scroll` UInt8,
    `depth` UInt8)
ENGINE = MergeTree PARTITION BY toYYYYMM(day) ORDER BY (site, measured, day, settling, visitor, session) SETTINGS index_granularity = 8192, old_parts_lifetime = 4, fsync_part_directory = 1, min_rows_to_fsync_after_merge = 1, min_compressed_bytes_to_fsync_after_merge = 1;

CREATE TABLE settled_visits (`site` UInt64,
    `day` Date,
    `settling` UInt64,
    `visitor` UInt64,
    `session` UInt64,
    `alone` Bool,
    `hour` DateTime('UTC'),
    `hostname` LowCardinality(String),
    `entry_page` LowCardinality(String),
    `exit_page` LowCardinality(String),
    `source` LowCardinality(String),
    `channel` LowCardinality(String),
    `referrer` LowCardinality(String),
    `utm_source` LowCardinality(String),
    `utm_medium` LowCardinality(String),
    `utm_campaign` LowCardinality(String),
    `utm_content` LowCardinality(String),
    `utm_term` LowCardinality(String),
    `click_id` LowCardinality(String),
    `country` LowCardinality(String),
    `region` LowCardinality(String),
    `city` LowCardinality(String),
    `network` LowCardinality(String),
    `network_kind` LowCardinality(String),
    `device` LowCardinality(String),
    `browser` LowCardinality(String),
    `browser_version` LowCardinality(String),
    `os` LowCardinality(String),
    `os_version` LowCardinality(String),
    `screen` LowCardinality(String),
    `language` LowCardinality(String),
    `views` UInt32,
    `events` UInt32,
    `bounced` Bool,
    `engaged` UInt32,
    `steps` Array(LowCardinality(String)) CODEC(ZSTD(1)),
    `seen_page` Array(LowCardinality(String)) CODEC(ZSTD(1)),
    `seen_hostname` Array(LowCardinality(String)) CODEC(ZSTD(1)),
    `seen_event` Array(LowCardinality(String)) CODEC(ZSTD(1)),
    `seen_views` Array(UInt8) CODEC(ZSTD(1)),
    `seen_events` Array(UInt8) CODEC(ZSTD(1)),
    `views_agreed` UInt32,
    `views_granted` UInt32,
    `views_refused` UInt32,
    `views_undecided` UInt32,
    `views_gpc` UInt32,
    `seen_outbound` Array(LowCardinality(String)) CODEC(ZSTD(1)),
    `seen_download` Array(LowCardinality(String)) CODEC(ZSTD(1)))
ENGINE = MergeTree PARTITION BY toYYYYMM(day) ORDER BY (site, day, settling, visitor, session) SETTINGS index_granularity = 8192, old_parts_lifetime = 4, fsync_part_directory = 1, min_rows_to_fsync_after_merge = 1, min_compressed_bytes_to_fsync_after_merge = 1;

CREATE TABLE shared_link_days (`id` FixedString(32),
    `day` Date)
ENGINE = ReplacingMergeTree(day) ORDER BY id TTL day + toIntervalMonth(13) SETTINGS index_granularity = 8192;

CREATE TABLE shared_links (`id` FixedString(32),
    `site` UInt64,
    `name` String,
    `password` String,
    `filters` Array(String),
    `goals` UInt8,
    `consent` UInt8,
    `hosts` Array(String),
    `created` DateTime64(3, 'UTC'),
    `expires` DateTime64(3, 'UTC'),
    `version` UInt64,
    `deleted` UInt8)
ENGINE = ReplacingMergeTree(version, deleted) ORDER BY id TTL toDateTime(expires) SETTINGS index_granularity = 8192;

CREATE TABLE sign_ins (`id` FixedString(32),
    `user` UInt64,
    `created` DateTime64(3, 'UTC'),
    `expires` DateTime64(3, 'UTC'),
    `version` UInt64,
    `deleted` UInt8)
ENGINE = ReplacingMergeTree(version, deleted) ORDER BY id TTL toDateTime(expires) + toIntervalDay(1) SETTINGS index_granularity = 8192;

CREATE TABLE sites (`id` UInt64,
    `key` String,
    `name` String,
    `client` String,
    `hostnames` Array(String),
    `time_zone` LowCardinality(String),
    `preset` LowCardinality(String),
    `policy` String,
    `retention_days` UInt16,
    `archive_epsilon` UInt8 DEFAULT 4,
    `created` DateTime64(3, 'UTC'),
    `version` UInt64,
    `deleted` UInt8)
ENGINE = ReplacingMergeTree(version, deleted) ORDER BY id SETTINGS non_replicated_deduplication_window = 100, index_granularity = 8192;

CREATE TABLE subscriptions (`site` UInt64,
    `user` UInt64,
    `kind` LowCardinality(String),
    `made_by` UInt64,
    `created` DateTime64(3, 'UTC'),
    `version` UInt64,
    `deleted` UInt8)
ENGINE = ReplacingMergeTree(version, deleted) ORDER BY (site, user, kind) SETTINGS index_granularity = 8192;

CREATE TABLE token_days (`id` UInt64,
    `day` Date)
ENGINE = ReplacingMergeTree(day) ORDER BY id TTL day + toIntervalMonth(13) SETTINGS index_granularity = 8192;

CREATE TABLE tokens (`id` UInt64,
    `hash` FixedString(32),
    `name` String,
    `site` UInt64,
    `scope` Enum8('read' = 1, 'write' = 2, 'manage' = 3),
    `created` DateTime64(3, 'UTC'),
    `version` UInt64,
    `deleted` UInt8,
    `user` UInt64,
    `expires` DateTime64(3, 'UTC') DEFAULT toDateTime64('2100-01-01 00:00:00', 3, 'UTC'))
ENGINE = ReplacingMergeTree(version, deleted) ORDER BY id TTL toDateTime(expires) SETTINGS index_granularity = 8192;

CREATE TABLE used_codes (`user` UInt64,
    `step` UInt64,
    `code` FixedString(32),
    `used` DateTime64(3, 'UTC'))
ENGINE = MergeTree ORDER BY (user, step, code) TTL toDateTime(used) + toIntervalDay(1) WHERE step > 0 SETTINGS index_granularity = 8192;

CREATE TABLE users (`id` UInt64,
    `email` String,
    `name` String,
    `password` String,
    `totp` String,
    `created` DateTime64(3, 'UTC'),
    `version` UInt64,
    `deleted` UInt8)
ENGINE = ReplacingMergeTree(version, deleted) ORDER BY id SETTINGS index_granularity = 8192;

