//! Which parts of the program run, which are down, and how often each ended without being told to.

use std::{
    convert::Infallible,
    sync::{
        Arc, OnceLock,
        atomic::{AtomicU64, AtomicUsize, Ordering},
    },
};

use tokio_util::sync::CancellationToken;

/// A kind of task or thread, with what happens when one ends without being told to. Its name is a metric's label, so
/// renaming one is a breaking change.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(usize)]
pub enum Part {
    /// A thread of the public listener. Restarted on its socket, so that connections that wait in it are answered.
    Worker,
    /// The spool's writing thread. Ends the program: only recovery at the start can tell what is whole on disk.
    Spool,
    /// Ships a spool. Ends the program: after a panic only the files tell which batch is current, and they
    /// are read at the start.
    Shipper,
    /// The private listener. Restarted on its socket: it keeps nothing between two requests.
    Admin,
    /// The public listener of a dashboard alone. Restarted on its socket, like the private one.
    Dashboard,
    /// The listener that sends browsers on to HTTPS. Restarted on its socket: it keeps nothing between two requests.
    Redirect,
    /// Reads certificates that have changed. Restarted: those in use are kept outside of it.
    Certificates,
    /// Asks for certificates before they expire. Restarted: what was issued is on disk.
    Acme,
    /// Reads the rules of sites. Restarted, like all jobs: each turn begins with what is stored.
    Rules,
    /// Looks after salts, visits and files. Restarted.
    Upkeep,
    /// Stores counts and the ledger. Restarted: what is not acknowledged is kept outside of it.
    Storing,
    /// Checks that repeated batches are ignored. Restarted.
    Deduplication,
    /// Seals days. Restarted: a seal that was cut is begun anew.
    Sealing,
    /// Settles days. Restarted: a settling that was cut is never read.
    Settling,
    /// Removes what is due. Restarted.
    Ageing,
    /// Sends mail. Restarted: which letters were begun is stored.
    Mail,
    /// Tells webhooks. Restarted: which messages were begun is stored.
    Webhooks,
    /// Answers calls of other collectors. Restarted on its socket: they call again.
    PeerListener,
    /// Calls another collector. Restarted: the full state is sent again on connecting.
    PeerLink,
    /// The embedded ClickHouse. [`sotto_store::engine`] restarts its process; if that supervisor itself ends,
    /// so does the program, as nothing else would restart the server.
    ClickHouse,
    /// Monitors external servers. Restarted: it keeps nothing.
    ClusterWatch,
    /// Migrates tables on servers that were unreachable. Restarted: migrations are idempotent.
    Migrations,
}

impl Part {
    /// All of them.
    pub const ALL: [Self; 22] = [
        Self::Worker,
        Self::Spool,
        Self::Shipper,
        Self::Admin,
        Self::Dashboard,
        Self::Redirect,
        Self::Certificates,
        Self::Acme,
        Self::Rules,
        Self::Upkeep,
        Self::Storing,
        Self::Deduplication,
        Self::Sealing,
        Self::Settling,
        Self::Ageing,
        Self::Mail,
        Self::Webhooks,
        Self::PeerListener,
        Self::PeerLink,
        Self::ClickHouse,
        Self::ClusterWatch,
        Self::Migrations,
    ];

    /// The part of this name.
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|part| part.name() == name)
    }

    /// Whether hits may be refused while this part is down.
    pub const fn keeps_hits(self) -> bool {
        matches!(self, Self::Worker | Self::Spool)
    }

    /// The label.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Worker => "worker",
            Self::Spool => "spool",
            Self::Shipper => "shipper",
            Self::Admin => "admin",
            Self::Dashboard => "dashboard",
            Self::Redirect => "redirect",
            Self::Certificates => "certificates",
            Self::Acme => "acme",
            Self::Rules => "rules",
            Self::Upkeep => "upkeep",
            Self::Storing => "storing",
            Self::Deduplication => "deduplication",
            Self::Sealing => "sealing",
            Self::Settling => "settling",
            Self::Ageing => "ageing",
            Self::Mail => "mail",
            Self::Webhooks => "webhooks",
            Self::PeerListener => "peer_listener",
            Self::PeerLink => "peer_link",
            Self::ClickHouse => "clickhouse",
            Self::ClusterWatch => "cluster_watch",
            Self::Migrations => "migrations",
        }
    }
}

#[derive(Debug, Default)]
struct Counts {
    ended: AtomicU64,
    down: AtomicUsize,
    /// Wakes one task of the part, which then panics.
    #[cfg(debug_assertions)]
    kill: tokio::sync::Notify,
}

/// What became of the parts since the start.
#[derive(Debug, Default)]
pub struct Board {
    counts: [Counts; Part::ALL.len()],
    fatal: OnceLock<Part>,
    failed: CancellationToken,
}

/// A task that is down until this is dropped.
#[derive(Debug)]
#[must_use = "the task is down for as long as this is kept"]
pub struct Down {
    board: Arc<Board>,
    part: Part,
}

impl Drop for Down {
    fn drop(&mut self) {
        self.board.of(self.part).down.fetch_sub(1, Ordering::Relaxed);
    }
}

impl Board {
    fn of(&self, part: Part) -> &Counts {
        &self.counts[part as usize]
    }

    /// A task ended without being told to.
    pub fn ended(self: &Arc<Self>, part: Part) -> Down {
        let counts = self.of(part);
        counts.ended.fetch_add(1, Ordering::Relaxed);
        counts.down.fetch_add(1, Ordering::Relaxed);
        Down { board: self.clone(), part }
    }

    /// A task without which the program cannot go on ended without being told to.
    pub fn fail(&self, part: Part) {
        let counts = self.of(part);
        counts.ended.fetch_add(1, Ordering::Relaxed);
        counts.down.fetch_add(1, Ordering::Relaxed);
        // The first failure is the one to report.
        let _others = self.fatal.set(part);
        self.failed.cancel();
    }

    /// Resolves when the program cannot go on, with the part that ended.
    pub async fn failed(&self) -> Part {
        self.failed.cancelled().await;
        *self.fatal.get().unwrap_or(&Part::Worker)
    }

    /// Makes one task of a part panic, or the next one to start if none runs.
    #[cfg(debug_assertions)]
    pub fn kill(&self, part: Part) {
        self.of(part).kill.notify_one();
    }

    /// Never resolves; panics when a test kills a task of this part.
    #[cfg(debug_assertions)]
    pub async fn killed(&self, part: Part) -> Infallible {
        self.of(part).kill.notified().await;
        panic!("killed by a test")
    }

    /// Never resolves.
    #[cfg(not(debug_assertions))]
    pub fn killed(&self, _: Part) -> std::future::Pending<Infallible> {
        std::future::pending()
    }

    /// How often a part ended without being told to.
    pub fn ends(&self, part: Part) -> u64 {
        self.of(part).ended.load(Ordering::Relaxed)
    }

    /// The parts of which something is down.
    pub fn down(&self) -> impl Iterator<Item = Part> {
        Part::ALL.into_iter().filter(|part| self.of(*part).down.load(Ordering::Relaxed) > 0)
    }

    /// How many tasks and threads are down.
    pub fn down_count(&self) -> usize {
        self.counts.iter().map(|counts| counts.down.load(Ordering::Relaxed)).sum()
    }
}

/// The program cannot go on without a part that ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("{} ended without being told to; the log says why. Start Sotto again: nothing that was acknowledged is lost", .0.name())]
pub struct PartEnded(pub Part);
