//! How to reach ClickHouse: the one client that everything uses, whether the server is embedded or external.

use std::{fmt, sync::Arc};

use arc_swap::ArcSwap;
use clickhouse::{Client, Compression};
use serde::{Deserialize, Serialize};

/// Where a ClickHouse server is and who asks.
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
    fn client(&self) -> Client {
        Client::default()
            .with_url(&self.url)
            .with_database(&self.database)
            .with_user(&self.user)
            .with_password(&self.password)
            .with_compression(self.compression())
            .with_product_info("sotto", env!("CARGO_PKG_VERSION"))
    }

    /// None on the way to this very machine: it would cost both ends more than it saves.
    fn compression(&self) -> Compression {
        let local = ["http://127.0.0.1:", "http://[::1]:", "http://localhost:"];
        if local.iter().any(|start| self.url.starts_with(start)) {
            Compression::None
        } else {
            Compression::Lz4
        }
    }

    /// The same server with no database chosen, to create one.
    pub(crate) fn without_database(&self) -> Client {
        Client::default().with_url(&self.url).with_user(&self.user).with_password(&self.password)
    }
}

/// A connection to ClickHouse. Clones share it; [`Db::redirect`] moves all of them to another address, which happens
/// when the embedded server had to be restarted on another port.
#[derive(Clone)]
pub struct Db {
    shared: Arc<ArcSwap<(Access, Client)>>,
}

impl fmt::Debug for Db {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Db({:?})", self.access())
    }
}

impl Db {
    /// A connection that is opened with the first query.
    pub fn new(access: Access) -> Self {
        let client = access.client();
        Self { shared: Arc::new(ArcSwap::from_pointee((access, client))) }
    }

    /// The client, for one query. Do not keep it: the server may move.
    pub fn client(&self) -> Client {
        self.shared.load().1.clone()
    }

    /// Where the server is now.
    pub fn access(&self) -> Access {
        self.shared.load().0.clone()
    }

    /// Moves this connection and all its clones to another address.
    pub fn redirect(&self, access: Access) {
        let client = access.client();
        self.shared.store(Arc::new((access, client)));
    }

    /// A query whose text is sent as it is: `{name:Type}` are parameters, `?` is only a question mark.
    pub fn query(&self, sql: &str) -> clickhouse::query::Query {
        self.shared.load().1.query_raw(sql)
    }

    /// A client of the same server and user with no database chosen, to create or restore one.
    pub fn without_database(&self) -> Client {
        self.access().without_database()
    }

    /// Whether the server answers this user.
    ///
    /// # Errors
    /// When it cannot be reached or refuses the password. `/ping` would not do: another server may answer it.
    pub async fn ping(&self) -> Result<(), clickhouse::error::Error> {
        self.query("SELECT 1").fetch_one::<u8>().await.map(|_| ())
    }
}

/// The two connections that everything works with.
#[derive(Debug, Clone)]
pub struct Databases {
    /// May write; for the collector and for what people set up.
    pub writer: Db,
    /// May only read, within limits of time and memory; for reports.
    pub reader: Db,
}
