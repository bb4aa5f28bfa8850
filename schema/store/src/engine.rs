//! The embedded ClickHouse: a child process of this program that loads `libchdb` and serves real ClickHouse
//! on loopback.
//!
//! **How** (measured with libchdb 26.7.3-stable.1, ClickHouse 26.7.2.1): the child runs `clickhouse-local`
//! with `SYSTEM START LISTEN HTTP` in interactive mode on a pseudo-terminal whose other end this process
//! holds. The terminal is needed: with any other standard input, an HTTP client that resets its connection in
//! the middle of a header aborts the server (ClickHouse issue 115666, fixed in 26.9; guarded by
//! `rude_client_leaves_the_server_alive`).
//!
//! **Promises.** Started means that an authenticated query was answered. The server listens on 127.0.0.1
//! only, with random passwords generated at each start and kept in a file that only the owner can read. Nothing is sent to another
//! user's program that took its port ([`own`]). If it exits, it is restarted with growing pauses. When this process ends, however it ends, the terminal closes
//! and the child stops by itself within seconds.
//!
//! **Refuses** to start when the library is missing, and names the command that fetches it.
//!
//! **Crash.** ClickHouse's own guarantees; inserts are synced (`fsync_after_insert`).
//!
//! **Proof**: `tests/suite/engine.rs`.

use std::{
    ffi::OsString,
    fs::{self, File},
    io::{self, Read, Write},
    net::{Ipv4Addr, TcpListener},
    os::fd::OwnedFd,
    path::{Path, PathBuf},
    process::Stdio,
    sync::Arc,
    time::{Duration, Instant},
};

use serde::{Deserialize, Serialize};
use tokio::{
    process::Child,
    sync::{Notify, watch},
    task::JoinHandle,
};

use crate::{
    db::{Access, Databases, Db},
    private_file,
};

pub mod child;
mod files;
pub(crate) mod own;

pub use files::Memory;

/// The first argument that makes the program run as the ClickHouse child process.
pub const CHILD_COMMAND: &str = "clickhouse-child";
/// Database that holds Sotto's tables.
pub const DATABASE: &str = "sotto";
/// The database's files within the server's directory.
pub const STORE: &str = "store";
/// Where the server writes and reads archives, within its directory. They are not encrypted and only
/// temporary: whatever is there at start was left by a killed backup, and is deleted.
pub const BACKUPS: &str = "backups";
/// Start timeout; allows for a large database on a busy machine.
const READY_TIMEOUT: Duration = Duration::from_secs(60);
/// How long a clean stop may take before the child is killed (it finishes merges and inserts first).
const STOP_TIMEOUT: Duration = Duration::from_secs(20);
/// The shortest pause before the server is restarted.
const RESTART_PAUSE_MIN: Duration = Duration::from_millis(100);
/// The longest of these pauses.
const RESTART_PAUSE_MAX: Duration = Duration::from_secs(30);
/// Maximum attempts for a start that fails at once: the port was taken, or a server whose parent was killed
/// still holds the data (about 2 s, with a running query 7 s).
const START_ATTEMPTS: u32 = 20;
/// Pause between these attempts.
const START_PAUSE: Duration = Duration::from_millis(500);

/// How the embedded server is started.
#[derive(Debug, Clone)]
pub struct Settings {
    /// Directory of its data, configuration and logs; made if missing.
    pub dir: PathBuf,
    /// `libchdb.so`.
    pub library: PathBuf,
    /// The program that understands [`CHILD_COMMAND`].
    pub program: PathBuf,
    /// Memory limits.
    pub memory: Memory,
}

/// Why the embedded server is not running.
#[derive(Debug, thiserror::Error)]
pub enum EngineError {
    /// The start stops.
    #[error("{0} is missing; `make setup` fetches it, or set clickhouse.url to use your own server")]
    LibraryMissing(PathBuf),
    /// The start stops.
    #[error("cannot prepare {path} for the embedded ClickHouse")]
    Prepare {
        /// Which file or directory.
        path: PathBuf,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// The start stops, or the supervisor tries again later.
    #[error("the embedded ClickHouse ended at once ({status}); see {log}")]
    Ended {
        /// How it ended.
        status: String,
        /// Its log.
        log: PathBuf,
    },
    /// The start stops, or the supervisor tries again later.
    #[error("the embedded ClickHouse did not answer within {} s; see {log}", READY_TIMEOUT.as_secs())]
    Silent {
        /// Its log.
        log: PathBuf,
    },
}

/// The address and credentials of a running embedded server for other processes of the same owner, as
/// `endpoint.json`.
#[derive(Serialize, Deserialize)]
struct Endpoint {
    writer: Access,
    reader: Access,
}

/// Whether the embedded server runs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Health {
    /// It answers.
    Up,
    /// Its process ended; it is being restarted.
    Down,
}

/// The running embedded server.
#[derive(Debug)]
pub struct Embedded {
    databases: Databases,
    health: watch::Receiver<Health>,
    stop: Arc<Notify>,
    supervisor: JoinHandle<()>,
}

/// The connections to an embedded server that another process runs in `dir`, if one answers.
pub async fn running(dir: &Path) -> Option<Databases> {
    let text = fs::read_to_string(dir.join("endpoint.json")).ok()?;
    let endpoint: Endpoint = serde_json::from_str(&text).ok()?;
    let databases =
        Databases { writer: Db::embedded(endpoint.writer), reader: Db::embedded(endpoint.reader) };
    databases.writer.ping().await.ok()?;
    Some(databases)
}

impl Embedded {
    /// Starts the server and waits until it answers.
    ///
    /// # Errors
    /// See [`EngineError`].
    pub async fn start(settings: Settings) -> Result<Self, EngineError> {
        if !settings.library.exists() {
            return Err(EngineError::LibraryMissing(settings.library));
        }
        for dir in [settings.dir.clone(), settings.dir.join("log")] {
            fs::create_dir_all(&dir).map_err(|source| EngineError::Prepare { path: dir, source })?;
        }
        let path = settings.dir.join(BACKUPS);
        match fs::remove_dir_all(&path) {
            Err(source) if source.kind() != io::ErrorKind::NotFound => {
                return Err(EngineError::Prepare { path, source });
            }
            Ok(()) | Err(_) => {}
        }
        let passwords = Passwords::random(&settings)?;
        let mut server = Server::start(&settings, &passwords, None).await?;
        let mut attempt = 1;
        while let Err(error) = server.ready().await {
            server.kill().await;
            if attempt == START_ATTEMPTS || !matches!(error, EngineError::Ended { .. }) {
                return Err(error);
            }
            attempt += 1;
            tokio::time::sleep(START_PAUSE).await;
            server = Server::start(&settings, &passwords, None).await?;
        }
        server.announce(&settings, &passwords)?;
        let databases = Databases {
            writer: Db::embedded(passwords.writer(server.port)),
            reader: Db::embedded(passwords.reader(server.port)),
        };
        let stop = Arc::new(Notify::new());
        let (told, health) = watch::channel(Health::Up);
        let run = Run { settings, passwords, databases: databases.clone(), stop: stop.clone(), told };
        Ok(Self { databases, health, stop, supervisor: tokio::spawn(run.supervise(server)) })
    }

    /// The connections; they follow the server when it moves to another port.
    pub fn databases(&self) -> Databases {
        self.databases.clone()
    }

    /// Whether the server runs. The channel closes when nothing will restart it.
    pub fn health(&self) -> watch::Receiver<Health> {
        self.health.clone()
    }

    /// Stops the server and waits until it has ended.
    pub async fn stop(self) {
        // The server waits for open connections, so we close our idle ones.
        for db in [&self.databases.writer, &self.databases.reader] {
            db.redirect(db.access());
        }
        self.stop.notify_one();
        if let Err(error) = self.supervisor.await {
            tracing::error!(%error, "the supervisor of the embedded ClickHouse failed");
        }
    }
}

/// What keeps the server running.
struct Run {
    settings: Settings,
    passwords: Passwords,
    databases: Databases,
    stop: Arc<Notify>,
    told: watch::Sender<Health>,
}

impl Run {
    /// Restarts the server whenever it exits, until told to stop.
    async fn supervise(self, mut server: Server) {
        let Self { settings, passwords, databases, stop, told } = self;
        let mut pause = RESTART_PAUSE_MIN;
        loop {
            let started = Instant::now();
            tokio::select! {
                () = stop.notified() => return server.stop(&settings).await,
                status = server.child.wait() => {
                    let status = status.map_or_else(|e| e.to_string(), |s| s.to_string());
                    tracing::error!(status, "the embedded ClickHouse ended and will be started again");
                    told.send_replace(Health::Down);
                }
            }
            if started.elapsed() > RESTART_PAUSE_MAX {
                pause = RESTART_PAUSE_MIN;
            }
            server = loop {
                tokio::select! {
                    () = stop.notified() => return,
                    () = tokio::time::sleep(pause) => {}
                }
                pause = (pause * 2).min(RESTART_PAUSE_MAX);
                match Server::restart(&settings, &passwords, server.port).await {
                    Ok(server) => break server,
                    Err(error) => tracing::error!(%error, "the embedded ClickHouse could not be started"),
                }
            };
            databases.writer.redirect(passwords.writer(server.port));
            databases.reader.redirect(passwords.reader(server.port));
            told.send_replace(Health::Up);
            tracing::info!("the embedded ClickHouse answers again");
        }
    }
}

/// Passwords of the two users, generated at each start.
#[derive(Clone)]
struct Passwords {
    collector: String,
    dashboard: String,
}

impl Passwords {
    fn random(settings: &Settings) -> Result<Self, EngineError> {
        let mut bytes = [0u8; 32];
        getrandom::fill(&mut bytes).map_err(|e| EngineError::Prepare {
            path: settings.dir.clone(),
            source: io::Error::other(e.to_string()),
        })?;
        let [collector, dashboard] = [&bytes[..16], &bytes[16..]].map(const_hex::encode);
        Ok(Self { collector, dashboard })
    }

    fn access(port: u16, user: &str, password: &str) -> Access {
        Access {
            url: format!("http://127.0.0.1:{port}"),
            database: DATABASE.into(),
            user: user.into(),
            password: password.into(),
        }
    }

    fn writer(&self, port: u16) -> Access {
        Self::access(port, "collector", &self.collector)
    }

    fn reader(&self, port: u16) -> Access {
        Self::access(port, "dashboard", &self.dashboard)
    }
}

/// One run of the child.
struct Server {
    child: Child,
    /// Our end of the pseudo-terminal. Closing it, or writing ^D, stops the child cleanly.
    terminal: File,
    port: u16,
    db: Db,
    log: PathBuf,
}

impl Server {
    /// Starts the child on `port`, or on a free one.
    async fn start(
        settings: &Settings,
        passwords: &Passwords,
        port: Option<u16>,
    ) -> Result<Self, EngineError> {
        let prepare = |source| EngineError::Prepare { path: settings.dir.clone(), source };
        let dir = fs::canonicalize(&settings.dir).map_err(prepare)?;
        let port = match port {
            Some(port) => port,
            None => free_port().map_err(prepare)?,
        };
        files::Files {
            dir: &dir,
            port,
            memory: settings.memory,
            database: DATABASE,
            collector_password: &passwords.collector,
            dashboard_password: &passwords.dashboard,
        }
        .write()
        .map_err(prepare)?;
        let log = dir.join("log/child.log");
        let stderr = File::create(&log).map_err(prepare)?;
        let (master, slave) = terminal().map_err(prepare)?;
        let child = tokio::process::Command::new(&settings.program)
            .arg(CHILD_COMMAND)
            .arg(&settings.library)
            .args(arguments(&dir))
            .current_dir(&dir)
            .env_clear()
            .env("HOME", &dir)
            .stdin(Stdio::from(slave))
            .stdout(Stdio::null())
            .stderr(Stdio::from(stderr))
            .process_group(0)
            .spawn()
            .map_err(prepare)?;
        let terminal = File::from(master);
        drain(terminal.try_clone().map_err(prepare)?);
        Ok(Self { child, terminal, port, db: Db::embedded(passwords.writer(port)), log })
    }

    /// Restarts the child, on its previous port if that is still free.
    async fn restart(settings: &Settings, passwords: &Passwords, port: u16) -> Result<Self, EngineError> {
        let free = TcpListener::bind((Ipv4Addr::LOCALHOST, port)).is_ok();
        let mut server = Self::start(settings, passwords, free.then_some(port)).await?;
        match server.ready().await {
            Ok(()) => {
                server.announce(settings, passwords)?;
                Ok(server)
            }
            Err(error) => {
                server.kill().await;
                Err(error)
            }
        }
    }

    /// Waits until an authenticated query is answered.
    async fn ready(&mut self) -> Result<(), EngineError> {
        let deadline = Instant::now() + READY_TIMEOUT;
        loop {
            if let Ok(Some(status)) = self.child.try_wait() {
                return Err(EngineError::Ended { status: status.to_string(), log: self.log.clone() });
            }
            if self.db.without_database().query_raw("SELECT 1").fetch_one::<u8>().await.is_ok() {
                return Ok(());
            }
            if Instant::now() > deadline {
                return Err(EngineError::Silent { log: self.log.clone() });
            }
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    }

    /// Publishes the server's address to other processes of the same owner.
    fn announce(&self, settings: &Settings, passwords: &Passwords) -> Result<(), EngineError> {
        let path = settings.dir.join("endpoint.json");
        let endpoint = Endpoint { writer: passwords.writer(self.port), reader: passwords.reader(self.port) };
        let text = serde_json::to_string(&endpoint).map_err(io::Error::other);
        text.and_then(|text| private_file::write(&path, text.as_bytes()))
            .map_err(|source| EngineError::Prepare { path, source })
    }

    /// Stops the child as an interactive user would: end of file at the prompt.
    async fn stop(mut self, settings: &Settings) {
        self.db.redirect(self.db.access());
        if let Err(error) = fs::remove_file(settings.dir.join("endpoint.json")) {
            tracing::debug!(%error, "endpoint.json was gone already");
        }
        if let Err(error) = self.terminal.write_all(b"\x04") {
            tracing::debug!(%error, "the embedded ClickHouse had ended already");
        }
        match tokio::time::timeout(STOP_TIMEOUT, self.child.wait()).await {
            Ok(Ok(status)) => tracing::debug!(%status, "the embedded ClickHouse stopped"),
            Ok(Err(error)) => tracing::error!(%error, "cannot wait for the embedded ClickHouse"),
            Err(_) => {
                tracing::warn!("the embedded ClickHouse did not stop in time and was killed");
                self.kill().await;
            }
        }
    }

    async fn kill(&mut self) {
        if let Err(error) = self.child.kill().await {
            tracing::debug!(%error, "the embedded ClickHouse had ended already");
        }
    }
}

fn free_port() -> io::Result<u16> {
    Ok(TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?.local_addr()?.port())
}

fn arguments(dir: &Path) -> Vec<OsString> {
    let mut config = OsString::from("--config-file=");
    config.push(dir.join("config.xml"));
    let mut arguments = vec![config];
    arguments.extend(
        [
            "--interactive",
            "--disable_suggestion",
            "--history_file=/dev/null",
            "--query",
            "SYSTEM START LISTEN HTTP",
        ]
        .map(OsString::from),
    );
    arguments
}

/// A pseudo-terminal: our end and the child's.
fn terminal() -> io::Result<(OwnedFd, OwnedFd)> {
    use rustix::{
        fs::{Mode, OFlags},
        pty::{OpenptFlags, grantpt, openpt, ptsname, unlockpt},
    };
    let master = openpt(OpenptFlags::RDWR | OpenptFlags::NOCTTY | OpenptFlags::CLOEXEC)?;
    grantpt(&master)?;
    unlockpt(&master)?;
    let name = ptsname(&master, Vec::new())?;
    let slave = rustix::fs::open(name, OFlags::RDWR | OFlags::NOCTTY | OFlags::CLOEXEC, Mode::empty())?;
    Ok((master, slave))
}

/// Discards what the child's line editor echoes, so that the terminal's buffer never fills.
fn drain(mut terminal: File) {
    std::thread::spawn(move || {
        let mut buffer = [0u8; 4096];
        while matches!(terminal.read(&mut buffer), Ok(n) if n > 0) {}
    });
}
