//! Several ClickHouse servers: shards, each of one or more replicas.
//!
//! **Where data is.** A site's events (and everything else that is stored per site) are on one shard, chosen
//! by the site's ID ([`crate::db::shard_of`]). Accounts, sites, goals, funnels, tokens, the audit log and the ledger
//! ([`HOME_TABLES`]) are small and live on the first shard, on all its replicas. Every server has all tables,
//! in the configured database, so that the same migrations run everywhere; tables that a server does not use
//! stay empty.
//!
//! **Reading.** Next to the database there is one called `…_all` with the same table names, from which
//! reports read: a `Distributed` table over all shards for data stored per site, and on the first shard a
//! `Merge` table over data that is only there. So no query has to know whether there is a cluster. Queries
//! about one site go to the site's own shard ([`crate::db::Db::of_site`]) and touch no other
//! (`optimize_skip_unused_shards`): a shard that is unavailable takes only its own sites' reports with it,
//! and a result is never partial. While the *first* shard has no replica left, nobody can sign in; collectors
//! go on with their copy of the sites.
//!
//! `Distributed` needs the cluster by name in the servers' `remote_servers`. Configuring that is the
//! operator's job: Sotto does not write to an external server's files, and `CREATE NAMED COLLECTION` or
//! `remote()` would put a password into a table's definition. The cluster must list the same shards in the
//! same order, with the same weight, and `internal_replication`; with a `<secret>`, no user between servers
//! is needed.
//!
//! **Replicas** share data only by replication. Where a server has Keeper (`system.zookeeper` answers),
//! tables are created as `Replicated…`, under `/sotto/{database}/{table}/sN`. Several replicas without Keeper
//! are refused.
//!
//! **The number and order of shards are fixed**: each server records which shard of how many it is, and a
//! configuration that contradicts it stops the start; otherwise rows would be on shards where no query looks.
//! To leave room for growth, begin with more shards than machines (servers of several shards on one machine);
//! to change the number, use `sotto export` and `import`.
//!
//! **Migrations** run server by server while one program holds the lock ([`crate::migrate::lock`]) on the
//! first server of the list. That server is required; others that are unavailable are skipped and migrated
//! when they are back.
//!
//! **Proof**: `tests/suite/cluster.rs`: two shards, one of which is killed under load. Replication itself needs
//! external servers with Keeper, which tests do not have; they prove that ClickHouse takes the statements up to the
//! point where it looks for Keeper.

use std::{collections::BTreeMap, convert::Infallible, time::Duration};

use clickhouse::{Row, error::Error};
use serde::Deserialize;

use crate::{
    db::{Access, Databases, Db},
    error_code::ErrorCode,
    migrate::{
        self, MIGRATIONS, MigrateError,
        lock::{LEASE, Lock},
        replicated::Place,
    },
};

/// Tables that are on the first shard only.
pub const HOME_TABLES: &[&str] = &[
    "sites",
    "users",
    "members",
    "sign_ins",
    "tokens",
    "token_days",
    "goals",
    "funnels",
    "segments",
    "annotations",
    "audit_log",
    "salt_ledger",
    "used_codes",
    "invitations",
    "shared_links",
    "shared_link_days",
    "public_sites",
    "subscriptions",
    "mail_deliveries",
    "hooks",
    "hook_deliveries",
];
/// Suffix of the database from which reports read.
const ALL_SUFFIX: &str = "_all";
/// Queries about one site touch only its shard; if that shard is unavailable, the query fails instead of
/// returning nothing.
const READ_SETTINGS: &[(&str, &str)] = &[
    ("optimize_skip_unused_shards", "1"),
    ("skip_unavailable_shards", "0"),
    ("distributed_product_mode", "global"),
];
/// Health check interval of the servers.
const LOOK_INTERVAL: Duration = Duration::from_secs(1);
/// Health check timeout, after which another replica is used.
const LOOK_PATIENCE: Duration = Duration::from_secs(3);

/// The servers that are configured: one, or a list of shards of replicas.
#[derive(Debug, Clone)]
pub struct Cluster {
    shards: Vec<Vec<Access>>,
    /// Name of the cluster in `remote_servers`.
    name: Option<String>,
    databases: Databases,
}

/// What [`Cluster::prepare`] found.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Prepared {
    /// How many migrations ran, over all servers.
    pub ran: usize,
    /// Addresses of servers that did not answer.
    pub away: Vec<String>,
}

#[derive(Row, Deserialize)]
struct Layout {
    shard: u32,
    shards: u32,
}

#[derive(Row, Deserialize, PartialEq, Eq, PartialOrd, Ord, Debug)]
struct Column {
    table: String,
    name: String,
    r#type: String,
}

impl Cluster {
    /// One server without a cluster.
    pub fn single(access: Access) -> Self {
        let db = Db::new(access.clone());
        let databases = Databases { writer: db.clone(), reader: db };
        Self { shards: vec![vec![access]], name: None, databases }
    }

    /// Shards, each a list of replicas. `name` is the cluster's name in `remote_servers`; it may be omitted
    /// with a single shard: then reports read the tables themselves.
    ///
    /// # Panics
    /// When a shard has no replica or there is no shard.
    pub fn new(shards: Vec<Vec<Access>>, name: Option<String>) -> Self {
        let door = |replicas: &Vec<Access>| Db::replicated(replicas.clone(), &[]);
        let write: Vec<Db> = shards.iter().map(door).collect();
        let writer = write[0].clone().with_shards(write);
        let reader = match &name {
            None => writer.clone(),
            Some(_) => {
                let all = |access: &Access| Access { database: all_of(&access.database), ..access.clone() };
                let door = |replicas: &Vec<Access>| {
                    Db::replicated(replicas.iter().map(all).collect(), READ_SETTINGS)
                };
                let read: Vec<Db> = shards.iter().map(door).collect();
                read[0].clone().with_shards(read)
            }
        };
        Self { shards, name, databases: Databases { writer, reader } }
    }

    /// The connections.
    pub fn databases(&self) -> Databases {
        self.databases.clone()
    }

    /// How many shards there are.
    pub fn shard_count(&self) -> usize {
        self.shards.len()
    }

    /// Migrates the tables of all reachable servers to this version's schema.
    ///
    /// # Errors
    /// See [`MigrateError`]; also when the first server does not answer. Running it again is always safe.
    pub async fn prepare(&self) -> Result<Prepared, MigrateError> {
        if self.shards.len() == 1 && self.shards[0].len() == 1 && self.name.is_none() {
            let ran = migrate::migrate(&self.databases.writer).await?;
            return Ok(Prepared { ran, away: Vec::new() });
        }
        let (mut prepared, mut unfinished) = (Prepared::default(), Vec::new());
        for (place, access) in self.servers() {
            let db = Db::new(access.clone());
            match self.is_finished(&db, place).await {
                Ok(true) => {}
                Ok(false) => unfinished.push((place, db)),
                Err(error) if is_away(&error) && place != FIRST => prepared.away.push(access.url.clone()),
                Err(error) => return Err(error),
            }
        }
        if unfinished.is_empty() {
            return Ok(prepared);
        }
        let lock = Lock::take(&Db::new(self.shards[0][0].clone()), LEASE).await?;
        for (place, db) in unfinished {
            prepared.ran += self.finish(&db, place, &lock).await?;
        }
        lock.release().await?;
        Ok(prepared)
    }

    /// Health-checks all servers for ever; where one does not answer, switches to another replica.
    pub async fn watch(&self) -> Infallible {
        let Databases { writer, reader } = &self.databases;
        loop {
            for db in writer.shards().iter().chain(&reader.shards()).chain([writer, reader]) {
                db.look(LOOK_PATIENCE).await;
            }
            tokio::time::sleep(LOOK_INTERVAL).await;
        }
    }

    fn servers(&self) -> impl Iterator<Item = (Place, &Access)> {
        self.shards.iter().enumerate().flat_map(|(shard, replicas)| {
            replicas.iter().enumerate().map(move |(replica, access)| (Place { shard, replica }, access))
        })
    }

    async fn is_finished(&self, db: &Db, place: Place) -> Result<bool, MigrateError> {
        if !migrate::missing(db, MIGRATIONS.len()).await?.is_empty() {
            return Ok(false);
        }
        Ok(self.is_in_its_place(db, place).await? && self.is_readable(db, place).await?)
    }

    /// Migrates one server to the current schema while `lock` is held.
    async fn finish(&self, db: &Db, place: Place, lock: &Lock) -> Result<usize, MigrateError> {
        if !self.is_in_its_place(db, place).await? {
            let shards = u32::try_from(self.shards.len()).unwrap_or(u32::MAX);
            let note = db.query(include_str!("cluster/note_layout.sql"));
            note.param("shard", place.shard).param("shards", shards).execute().await?;
        }
        let keeper = has_keeper(db).await?;
        if !keeper && self.shards[place.shard].len() > 1 {
            return Err(MigrateError::NoKeeper { url: db.access().url });
        }
        let ran = migrate::run(db, MIGRATIONS.len(), lock, keeper.then_some(place)).await?;
        if self.shards[place.shard].len() > 1 {
            let alone =
                db.query(include_str!("cluster/not_replicated.sql")).fetch_optional::<String>().await?;
            if let Some(table) = alone {
                return Err(MigrateError::NotReplicated { url: db.access().url, table });
            }
        }
        self.make_readable(db, place, lock).await?;
        Ok(ran)
    }

    /// Whether a server has recorded its place; an error if it recorded another.
    async fn is_in_its_place(&self, db: &Db, place: Place) -> Result<bool, MigrateError> {
        db.query(include_str!("cluster/create_layout.sql")).execute().await?;
        let noted = db.query(include_str!("cluster/layout.sql")).fetch_optional::<Layout>().await?;
        let Some(Layout { shard, shards }) = noted else { return Ok(false) };
        if (shard as usize, shards as usize) == (place.shard, self.shards.len()) {
            return Ok(true);
        }
        Err(MigrateError::OtherPlace {
            url: db.access().url,
            noted: format!("shard {} of {shards}", shard + 1),
            configured: format!("shard {} of {}", place.shard + 1, self.shards.len()),
        })
    }

    /// Whether the database from which reports read has the tables it should have.
    async fn is_readable(&self, db: &Db, place: Place) -> Result<bool, MigrateError> {
        if self.name.is_none() {
            return Ok(true);
        }
        let (wanted, found) = (tables(db, &db.access().database).await?, tables(db, &self.all()).await?);
        let wanted: BTreeMap<_, _> =
            wanted.into_iter().filter(|(name, columns)| kind_of(name, columns, place).is_some()).collect();
        Ok(wanted == found)
    }

    async fn make_readable(&self, db: &Db, place: Place, lock: &Lock) -> Result<(), MigrateError> {
        let Some(cluster) = &self.name else { return Ok(()) };
        let database = db.access().database;
        let create = "CREATE DATABASE IF NOT EXISTS {database:Identifier}";
        db.query(create).param("database", self.all()).execute().await?;
        for (name, columns) in tables(db, &database).await? {
            lock.check().await?;
            let sql = match kind_of(&name, &columns, place) {
                None => continue,
                Some(Readable::Home) => include_str!("cluster/create_merge.sql"),
                Some(Readable::Sharded) => include_str!("cluster/create_distributed.sql"),
            };
            db.query(sql)
                .param("all", self.all())
                .param("database", &database)
                .param("table", &name)
                .param("tables", format!("^{name}$"))
                .param("cluster", cluster)
                .execute()
                .await?;
        }
        Ok(())
    }

    fn all(&self) -> String {
        all_of(&self.shards[0][0].database)
    }
}

const FIRST: Place = Place { shard: 0, replica: 0 };

/// How reports read a table.
enum Readable {
    /// Directly, on the first shard.
    Home,
    /// From all shards.
    Sharded,
}

fn kind_of(table: &str, columns: &[(String, String)], place: Place) -> Option<Readable> {
    if HOME_TABLES.contains(&table) {
        (place.shard == 0).then_some(Readable::Home)
    } else {
        columns.iter().any(|(name, _)| name == "site").then_some(Readable::Sharded)
    }
}

fn all_of(database: &str) -> String {
    [database, ALL_SUFFIX].concat()
}

/// Names and columns (with their types) of a database's tables, views left out.
async fn tables(
    db: &Db,
    database: &str,
) -> Result<BTreeMap<String, Vec<(String, String)>>, clickhouse::error::Error> {
    let columns: Vec<Column> =
        db.query(include_str!("cluster/columns.sql")).param("database", database).fetch_all().await?;
    let mut tables = BTreeMap::<String, Vec<_>>::new();
    for Column { table, name, r#type } in columns {
        tables.entry(table).or_default().push((name, r#type));
    }
    Ok(tables)
}

/// Whether a server has Keeper.
async fn has_keeper(db: &Db) -> Result<bool, Error> {
    let none = [ErrorCode::UNKNOWN_TABLE, ErrorCode::NO_ZOOKEEPER, ErrorCode::NO_ELEMENTS_IN_CONFIG];
    match db.query("SELECT count() FROM system.zookeeper WHERE path = '/'").fetch_one::<u64>().await {
        Ok(_) => Ok(true),
        Err(error) if ErrorCode::of(&error).is_some_and(|code| none.contains(&code)) => Ok(false),
        Err(error) => Err(error),
    }
}

/// Whether the server could not be reached; other errors would recur.
fn is_away(error: &MigrateError) -> bool {
    let mut source: Option<&(dyn std::error::Error + 'static)> = Some(error);
    while let Some(error) = source {
        if matches!(error.downcast_ref::<Error>(), Some(Error::Network(_) | Error::TimedOut)) {
            return true;
        }
        source = error.source();
    }
    false
}
