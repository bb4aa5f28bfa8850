//! The connection to ClickHouse: the one client that everything uses, whether the server is embedded or
//! external.

use std::{fmt, sync::Arc};

use arc_swap::ArcSwap;
use clickhouse::{Client, Compression};
use serde::{Deserialize, Serialize};
use sotto_schema::id::SiteId;

use crate::engine::own;

/// Address and credentials of a ClickHouse server.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Access {
    /// `http://host:port` or `https://…`.
    pub url: String,
    /// Database that holds the tables.
    pub database: String,
    /// User name.
    pub user: String,
    /// Password.
    pub password: String,
}

impl fmt::Debug for Access {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Access({}@{}/{})", self.user, self.url, self.database)
    }
}

impl Access {
    fn client(&self, answerer: Answerer) -> Client {
        answerer
            .client()
            .with_url(&self.url)
            .with_database(&self.database)
            .with_user(&self.user)
            .with_password(&self.password)
            .with_compression(self.compression())
            .with_product_info("sotto", env!("CARGO_PKG_VERSION"))
    }

    /// No compression on loopback: it would cost both ends more than it saves.
    fn compression(&self) -> Compression {
        let local = ["http://127.0.0.1:", "http://[::1]:", "http://localhost:"];
        if local.iter().any(|start| self.url.starts_with(start)) {
            Compression::None
        } else {
            Compression::Lz4
        }
    }

    /// The same server without a selected database, to create one.
    fn without_database(&self, answerer: Answerer) -> Client {
        answerer.client().with_url(&self.url).with_user(&self.user).with_password(&self.password)
    }
}

/// Who may answer at an address.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Answerer {
    /// Whoever does, as configured.
    Anybody,
    /// A program of our own user, as the embedded server is.
    Ourselves,
}

impl Answerer {
    fn client(self) -> Client {
        match self {
            Self::Anybody => Client::default(),
            Self::Ourselves => own::client(),
        }
    }
}

/// A connection to ClickHouse, to one of several replicas with the same data. Clones share it;
/// [`Db::redirect`] moves all of them to another address, which happens when the embedded server had to
/// restart on another port; [`Db::turn`] moves them to the next replica.
///
/// In a cluster each site's events are on one shard: [`Db::of_site`] returns its connection. With a single
/// server it returns the same connection, so queries for a site's events can always go through it.
#[derive(Clone)]
pub struct Db {
    shared: Arc<Shared>,
    /// The shards of a cluster; empty where there is one server.
    shards: Arc<[Db]>,
}

struct Shared {
    current: ArcSwap<(Access, Client)>,
    replicas: Vec<Access>,
    /// Settings that go with every query.
    settings: &'static [(&'static str, &'static str)],
    answerer: Answerer,
}

impl fmt::Debug for Db {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Db({:?})", self.access())
    }
}

/// Which of `shards` holds the events of `site`, from 0: the choice of a Distributed table with the key
/// `bitShiftRight(site, 1)` when all shards have the same weight. Site IDs are random but odd, so their
/// lowest bit carries no information.
pub fn shard_of(site: SiteId, shards: usize) -> usize {
    usize::try_from((site.0 >> 1) % shards.max(1) as u64).unwrap_or(0)
}

impl Db {
    /// A lazy connection, opened by the first query.
    pub fn new(access: Access) -> Self {
        Self::of_replicas(vec![access.clone()], access, &[], Answerer::Anybody)
    }

    /// The same to an embedded server: nothing is sent to another user's program that listens at its address.
    pub(crate) fn embedded(access: Access) -> Self {
        Self::of_replicas(vec![access.clone()], access, &[], Answerer::Ourselves)
    }

    /// A connection to the first of `replicas`, with settings for every query.
    ///
    /// # Panics
    /// When there is no replica.
    pub fn replicated(replicas: Vec<Access>, settings: &'static [(&'static str, &'static str)]) -> Self {
        let first = replicas[0].clone();
        Self::of_replicas(replicas, first, settings, Answerer::Anybody)
    }

    fn of_replicas(
        replicas: Vec<Access>,
        first: Access,
        settings: &'static [(&'static str, &'static str)],
        answerer: Answerer,
    ) -> Self {
        let client = client(&first, settings, answerer);
        let current = ArcSwap::from_pointee((first, client));
        Self { shared: Arc::new(Shared { current, replicas, settings, answerer }), shards: Arc::default() }
    }

    /// The same connection as the entry point to the shards of a cluster.
    pub fn with_shards(self, shards: Vec<Self>) -> Self {
        Self { shards: shards.into(), ..self }
    }

    /// The connection to the shard that holds a site's events.
    pub fn of_site(&self, site: SiteId) -> Self {
        self.shards.get(shard_of(site, self.shards.len())).unwrap_or(self).clone()
    }

    /// The shards; only this connection with a single server.
    pub fn shards(&self) -> Vec<Self> {
        if self.shards.is_empty() { vec![self.clone()] } else { self.shards.to_vec() }
    }

    /// Connections to each replica of this server; only this connection where there is one.
    pub fn replicas(&self) -> Vec<Self> {
        if self.shared.replicas.len() < 2 {
            return vec![self.clone()];
        }
        let Shared { settings, answerer, .. } = *self.shared;
        let one =
            |replica: &Access| Self::of_replicas(vec![replica.clone()], replica.clone(), settings, answerer);
        self.shared.replicas.iter().map(one).collect()
    }

    /// The client, for one query. Do not keep it: the server may move.
    pub fn client(&self) -> Client {
        self.shared.current.load().1.clone()
    }

    /// The server's current address and credentials.
    pub fn access(&self) -> Access {
        self.shared.current.load().0.clone()
    }

    /// Moves this connection and all its clones to another address.
    pub fn redirect(&self, access: Access) {
        let client = client(&access, self.shared.settings, self.shared.answerer);
        self.shared.current.store(Arc::new((access, client)));
    }

    /// Moves this connection and all its clones to the next replica, if there is another.
    pub fn turn(&self) {
        let replicas = &self.shared.replicas;
        let current = self.access();
        let at = replicas.iter().position(|r| *r == current);
        if let (true, Some(at)) = (replicas.len() > 1, at) {
            let next = &replicas[(at + 1) % replicas.len()];
            tracing::warn!(from = current.url, to = next.url, "switching to another replica");
            self.redirect(next.clone());
        }
    }

    /// Checks that the server answers; if not, moves to the next that does.
    pub async fn look(&self, patience: std::time::Duration) {
        if self.shared.replicas.len() < 2 {
            return;
        }
        for _ in 0..self.shared.replicas.len() {
            if matches!(tokio::time::timeout(patience, self.ping()).await, Ok(Ok(()))) {
                return;
            }
            self.turn();
        }
    }

    /// A query whose text is sent verbatim: `{name:Type}` are parameters, `?` is just a question mark.
    pub fn query(&self, sql: &str) -> clickhouse::query::Query {
        self.shared.current.load().1.query_raw(sql)
    }

    /// A client of the same server and user without a selected database, to create or restore one.
    pub fn without_database(&self) -> Client {
        self.access().without_database(self.shared.answerer)
    }

    /// Whether the server answers this user.
    ///
    /// # Errors
    /// When it cannot be reached or rejects the password. `/ping` would not do: another server may answer it.
    pub async fn ping(&self) -> Result<(), clickhouse::error::Error> {
        self.query("SELECT 1").fetch_one::<u8>().await.map(|_| ())
    }
}

fn client(access: &Access, settings: &[(&str, &str)], answerer: Answerer) -> Client {
    settings.iter().fold(access.client(answerer), |client, (name, value)| client.with_setting(*name, *value))
}

/// The connections for writing and for reading.
#[derive(Debug, Clone)]
pub struct Databases {
    /// Read and write; for the collector and for settings. In a cluster it leads to the first shard, where
    /// accounts, sites and the like are; `of_site` leads to the tables that store a site's events.
    pub writer: Db,
    /// Read-only, with limits on time and memory; for reports. In a cluster it sees the events of all shards;
    /// `of_site` queries the site's own shard and sees the same.
    pub reader: Db,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sites_are_spread_evenly_over_any_number_of_shards() {
        for shards in [1, 2, 3, 4, 8] {
            let mut sites = vec![0; shards];
            for _ in 0..1_000 * shards {
                sites[shard_of(SiteId::random().unwrap(), shards)] += 1;
            }
            assert!(sites.iter().all(|n| (800..=1_200).contains(n)), "{sites:?}");
        }
    }
}
