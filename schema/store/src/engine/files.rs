//! The embedded server's configuration files.

use std::{io, path::Path};

use sha2::{Digest, Sha256};

use crate::private_file;

/// Memory limits of the embedded server.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Memory {
    /// For the whole server, in bytes. Below 300 MB the server cannot merge.
    pub server_bytes: u64,
    /// For one query, in bytes.
    pub query_bytes: u64,
}

impl Default for Memory {
    /// For a host with 1 GiB.
    fn default() -> Self {
        Self { server_bytes: 600_000_000, query_bytes: 300_000_000 }
    }
}

/// The values in the two configuration files.
pub(super) struct Files<'a> {
    pub(super) dir: &'a Path,
    pub(super) port: u16,
    pub(super) memory: Memory,
    pub(super) database: &'a str,
    pub(super) collector_password: &'a str,
    pub(super) dashboard_password: &'a str,
}

fn escape(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;")
}

fn sha256_hex(text: &str) -> String {
    const_hex::encode(Sha256::digest(text.as_bytes()))
}

impl Files<'_> {
    /// Writes `config.xml` and `users.xml`.
    pub(super) fn write(&self) -> io::Result<()> {
        let dir = escape(&self.dir.display().to_string());
        let config = CONFIG
            .replace("@DIR@", &dir)
            .replace("@PORT@", &self.port.to_string())
            .replace("@SERVER_BYTES@", &self.memory.server_bytes.to_string());
        let users = USERS
            .replace("@DATABASE@", &escape(self.database))
            .replace("@QUERY_BYTES@", &self.memory.query_bytes.to_string())
            .replace("@COLLECTOR@", &sha256_hex(self.collector_password))
            .replace("@DASHBOARD@", &sha256_hex(self.dashboard_password));
        private_file::write(&self.dir.join("users.xml"), users.as_bytes())?;
        private_file::write(&self.dir.join("config.xml"), config.as_bytes())
    }
}

/// Sizes are for a host with 1 GiB. `log-level` instead of `logger/level`, `old_parts_lifetime` and
/// `background_distributed_schedule_pool_size` are needed by the library (measured).
const CONFIG: &str = r#"<clickhouse>
  <log-level>warning</log-level>
  <logger><log>@DIR@/log/server.log</log><errorlog>@DIR@/log/server.err.log</errorlog><size>10M</size><count>2</count></logger>
  <path>@DIR@/store/</path>
  <tmp_path>@DIR@/store/tmp/</tmp_path>
  <user_files_path>@DIR@/store/user_files/</user_files_path>
  <format_schema_path>@DIR@/store/format_schemas/</format_schema_path>
  <listen_host>127.0.0.1</listen_host>
  <http_port>@PORT@</http_port>
  <users_config>@DIR@/users.xml</users_config>
  <backups><allowed_path>@DIR@/backups/</allowed_path></backups>
  <keep_alive_timeout>10</keep_alive_timeout>
  <shutdown_wait_unfinished>1</shutdown_wait_unfinished>
  <max_server_memory_usage>@SERVER_BYTES@</max_server_memory_usage>
  <mark_cache_size>16777216</mark_cache_size>
  <index_mark_cache_size>4194304</index_mark_cache_size>
  <uncompressed_cache_size>0</uncompressed_cache_size>
  <primary_index_cache_size>16777216</primary_index_cache_size>
  <mmap_cache_size>100</mmap_cache_size>
  <compiled_expression_cache_size>0</compiled_expression_cache_size>
  <max_temporary_data_on_disk_size>2000000000</max_temporary_data_on_disk_size>
  <max_concurrent_queries>64</max_concurrent_queries>
  <max_connections>128</max_connections>
  <max_thread_pool_size>300</max_thread_pool_size>
  <max_thread_pool_free_size>20</max_thread_pool_free_size>
  <background_pool_size>2</background_pool_size>
  <background_merges_mutations_concurrency_ratio>2</background_merges_mutations_concurrency_ratio>
  <background_schedule_pool_size>8</background_schedule_pool_size>
  <background_common_pool_size>2</background_common_pool_size>
  <background_move_pool_size>1</background_move_pool_size>
  <background_fetches_pool_size>1</background_fetches_pool_size>
  <background_buffer_flush_schedule_pool_size>1</background_buffer_flush_schedule_pool_size>
  <background_message_broker_schedule_pool_size>1</background_message_broker_schedule_pool_size>
  <background_distributed_schedule_pool_size>2</background_distributed_schedule_pool_size>
  <merge_tree>
    <old_parts_lifetime>480</old_parts_lifetime>
    <merge_max_block_size>4096</merge_max_block_size>
    <max_bytes_to_merge_at_max_space_in_pool>4294967296</max_bytes_to_merge_at_max_space_in_pool>
    <number_of_free_entries_in_pool_to_lower_max_size_of_merge>1</number_of_free_entries_in_pool_to_lower_max_size_of_merge>
    <number_of_free_entries_in_pool_to_execute_mutation>1</number_of_free_entries_in_pool_to_execute_mutation>
    <number_of_free_entries_in_pool_to_execute_optimize_entire_partition>1</number_of_free_entries_in_pool_to_execute_optimize_entire_partition>
    <fsync_after_insert>1</fsync_after_insert>
    <fsync_part_directory>1</fsync_part_directory>
  </merge_tree>
</clickhouse>
"#;

/// Queries are not compiled: without a cache, which costs memory, compiling took 130 ms of a 200 ms report (measured).
/// Reports are read by two threads: ClickHouse would take one where a thread has less than 1 GiB, which made them last twice as
/// long on a quiet machine (measured); how much memory a query may use is bounded anyway.
/// The `default` user must exist, because the library signs in as it; its one allowed session is therefore always
/// taken, and nobody else can sign in as it over HTTP.
const USERS: &str = r#"<clickhouse>
  <profiles>
    <default><max_memory_usage>@QUERY_BYTES@</max_memory_usage><max_threads>2</max_threads><allow_introspection_functions>0</allow_introspection_functions></default>
    <lock><max_sessions_for_user>1</max_sessions_for_user><allow_introspection_functions>0</allow_introspection_functions></lock>
    <collector><compile_expressions>0</compile_expressions><compile_aggregate_expressions>0</compile_aggregate_expressions><compile_sort_description>0</compile_sort_description><max_memory_usage>@QUERY_BYTES@</max_memory_usage><max_threads>2</max_threads><max_partitions_per_insert_block>1000</max_partitions_per_insert_block><deduplicate_blocks_in_dependent_materialized_views>1</deduplicate_blocks_in_dependent_materialized_views><allow_introspection_functions>0</allow_introspection_functions>
      <constraints><allow_introspection_functions><const/></allow_introspection_functions></constraints></collector>
    <dashboard><readonly>2</readonly><cancel_http_readonly_queries_on_client_close>1</cancel_http_readonly_queries_on_client_close><compile_expressions>0</compile_expressions><compile_aggregate_expressions>0</compile_aggregate_expressions><compile_sort_description>0</compile_sort_description><max_execution_time>30</max_execution_time><max_threads>2</max_threads><max_threads_min_free_memory_per_thread>0</max_threads_min_free_memory_per_thread><max_memory_usage>@QUERY_BYTES@</max_memory_usage><max_bytes_before_external_group_by>150000000</max_bytes_before_external_group_by><allow_introspection_functions>0</allow_introspection_functions>
      <constraints><max_execution_time><max>60</max></max_execution_time><max_memory_usage><const/></max_memory_usage><allow_introspection_functions><const/></allow_introspection_functions></constraints></dashboard>
  </profiles>
  <quotas><default/></quotas>
  <users>
    <default><password></password><networks><ip>127.0.0.1</ip></networks><profile>lock</profile><quota>default</quota><grants><query>GRANT SYSTEM LISTEN ON *.*</query></grants></default>
    <collector><password_sha256_hex>@COLLECTOR@</password_sha256_hex><networks><ip>127.0.0.1</ip></networks><profile>collector</profile><quota>default</quota>
      <grants><query>GRANT TABLE ENGINE ON *</query><query>GRANT BACKUP ON *.*</query><query>GRANT SELECT, INSERT, CREATE, ALTER, DROP, TRUNCATE, OPTIMIZE, SHOW, SYSTEM ON @DATABASE@.*</query><query>GRANT SELECT ON system.*</query></grants></collector>
    <dashboard><password_sha256_hex>@DASHBOARD@</password_sha256_hex><networks><ip>127.0.0.1</ip></networks><profile>dashboard</profile><quota>default</quota>
      <grants><query>GRANT SELECT ON @DATABASE@.*</query></grants></dashboard>
  </users>
</clickhouse>
"#;
