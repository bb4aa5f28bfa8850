//! The sites in the database: measurement rules set up by people.

use clickhouse::Row;
use serde::{Deserialize, Serialize};
use sotto_schema::{clock::version, id::SiteId, policy::Preset, site::Site};

use crate::db::Db;

#[derive(Row, Serialize, Deserialize)]
struct SiteRow {
    id: SiteId,
    key: String,
    name: String,
    client: String,
    hostnames: Vec<String>,
    time_zone: String,
    preset: String,
    policy: String,
    retention_days: u16,
    archive_epsilon: u8,
    created: i64,
    version: u64,
    deleted: u8,
}

impl From<SiteRow> for Site {
    fn from(row: SiteRow) -> Self {
        let preset = Preset::from_name(&row.preset).unwrap_or_default();
        Self {
            // An unreadable policy is replaced by its preset's, never by a laxer one.
            policy: serde_json::from_str(&row.policy).unwrap_or_else(|_| preset.policy()),
            id: row.id,
            key: row.key,
            name: row.name,
            client: row.client,
            hostnames: row.hostnames,
            time_zone: row.time_zone,
            preset,
            retention_days: row.retention_days,
            archive_epsilon: row.archive_epsilon,
            created_ms: row.created,
        }
    }
}

/// All sites, by name.
///
/// # Errors
/// When ClickHouse cannot be queried.
pub async fn all(db: &Db) -> Result<Vec<Site>, clickhouse::error::Error> {
    let rows: Vec<SiteRow> = db.query(include_str!("sites/all.sql")).fetch_all().await?;
    Ok(rows.into_iter().map(Site::from).collect())
}

/// Stores a new or changed site.
///
/// # Errors
/// When ClickHouse cannot be queried.
pub async fn save(db: &Db, site: &Site) -> Result<(), clickhouse::error::Error> {
    write(db, site, 0).await
}

/// Removes a site; its events go with their retention or by `sotto privacy erase`.
///
/// # Errors
/// When ClickHouse cannot be queried.
pub async fn remove(db: &Db, site: &Site) -> Result<(), clickhouse::error::Error> {
    write(db, site, 1).await
}

/// Tables of what people made for a site, which goes with it.
const BELONGINGS: [&str; 10] = [
    "members",
    "tokens",
    "goals",
    "funnels",
    "segments",
    "annotations",
    "shared_links",
    "public_sites",
    "subscriptions",
    "hooks",
];

/// Removes what people made for a site: roles, tokens, goals and the like. Done again, it changes nothing.
///
/// # Errors
/// When ClickHouse cannot be queried.
pub async fn remove_belongings(db: &Db, site: SiteId) -> Result<(), clickhouse::error::Error> {
    for table in BELONGINGS {
        let query = db.query(include_str!("sites/remove_belongings.sql")).param("table", table);
        query.param("site", site).param("version", version()).execute().await?;
    }
    Ok(())
}

async fn write(db: &Db, site: &Site, deleted: u8) -> Result<(), clickhouse::error::Error> {
    let policy = serde_json::to_string(&site.policy)
        .map_err(|e| clickhouse::error::Error::InvalidParams(Box::new(e)))?;
    let mut insert = db.client().insert::<SiteRow>("sites").await?;
    insert
        .write(&SiteRow {
            id: site.id,
            key: site.key.clone(),
            name: site.name.clone(),
            client: site.client.clone(),
            hostnames: site.hostnames.clone(),
            time_zone: site.time_zone.clone(),
            preset: site.preset.name().into(),
            policy,
            retention_days: site.retention_days,
            archive_epsilon: site.archive_epsilon,
            created: site.created_ms,
            version: version(),
            deleted,
        })
        .await?;
    insert.end().await
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_table_of_a_site_whose_rows_can_be_removed_is_among_its_belongings() {
        let tables = include_str!("../golden.sql").split("CREATE TABLE ").skip(1);
        let of_site = tables.filter(|text| {
            let columns = text.split("ENGINE").next().unwrap_or_default();
            columns.contains("`site` UInt64") && columns.contains("`deleted` UInt8")
        });
        let mut names: Vec<&str> = of_site.filter_map(|text| text.split_whitespace().next()).collect();
        let mut known = BELONGINGS.to_vec();
        names.sort_unstable();
        known.sort_unstable();
        assert_eq!(names, known);
    }
}
