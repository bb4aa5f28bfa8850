//! The harness: starts the real program with its real embedded ClickHouse on free ports, queries it as
//! browsers and people do, and stops it by its process ID.
//!
//! Promises: a test never waits a fixed time, but for a condition with a deadline; whatever a test started is
//! gone when the test ends, even when it fails.

#![allow(clippy::unwrap_used, clippy::missing_panics_doc)] // A test that cannot go on says where.

use std::{
    fs,
    io::{BufRead, BufReader, Read, Write},
    net::{TcpListener, TcpStream},
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    sync::{Arc, Mutex, mpsc},
    time::{Duration, Instant},
};

use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;
use sotto_collector::visitor::salts::keeper::KEEPER_COMMAND;
use sotto_store::db::Access;

mod browser;
mod held;
pub mod load;
mod load_hits;
mod lossy;
mod noon;
mod proxy;
mod road;
mod site;
pub mod wire;

pub use browser::{Chromium, PERSON};
pub use held::{keyring_works, keys};
pub use lossy::Lossy;
pub use noon::{Noon, UTC};
pub use proxy::Proxy;
pub use road::Road;
pub use site::Pages;
pub use wire::Speech;

/// How long a test waits for something that should happen at once; allows for a busy machine.
pub const PATIENCE: Duration = Duration::from_secs(60);

/// The program under test, built before the tests are run.
pub fn program() -> PathBuf {
    let test = std::env::current_exe().unwrap();
    // Tests are in `deps`, one level below the program; the load generator is next to it.
    let built = test.ancestors().skip(1).take(2).map(|dir| dir.join("sotto")).find(|path| path.exists());
    built.unwrap_or_else(|| {
        panic!("no `sotto` near {}: `cargo build` comes before `cargo test`", test.display())
    })
}

/// The root of the workspace.
pub fn workspace() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap().to_owned()
}

/// Polls `condition` until it returns a value.
///
/// # Panics
/// When it returns none within [`PATIENCE`].
pub fn wait_for<T>(what: &str, condition: impl FnMut() -> Option<T>) -> T {
    wait_for_at_most(PATIENCE, what, condition)
}

/// Polls `condition` until it returns a value.
///
/// # Panics
/// When it returns none within `patience`.
pub fn wait_for_at_most<T>(patience: Duration, what: &str, mut condition: impl FnMut() -> Option<T>) -> T {
    let deadline = Instant::now() + patience;
    loop {
        if let Some(value) = condition() {
            return value;
        }
        assert!(Instant::now() < deadline, "waited in vain for {what}");
        std::thread::park_timeout(Duration::from_millis(20));
    }
}

/// An answer of an HTTP server.
#[derive(Debug)]
pub struct Answer {
    /// Status code.
    pub status: u16,
    /// Headers, names in lower case.
    pub headers: Vec<(String, String)>,
    /// Body.
    pub body: Vec<u8>,
}

impl Answer {
    /// The body as text.
    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }

    /// The body as JSON.
    pub fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap_or_else(|e| panic!("{e}: {}", self.text()))
    }

    /// The value of a header.
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(n, _)| n == name).map(|(_, v)| v.as_str())
    }
}

/// Sends a request. Redirects are not followed.
pub fn request(method: &str, url: &str, headers: &[(&str, &str)], body: &[u8]) -> Answer {
    try_request(method, url, headers, body).unwrap_or_else(|e| panic!("{method} {url}: {e}"))
}

/// Sends a request that may fail before a response arrives.
///
/// # Errors
/// When no response arrives.
pub fn try_request(
    method: &str,
    url: &str,
    headers: &[(&str, &str)],
    body: &[u8],
) -> Result<Answer, ureq::Error> {
    let agent: ureq::Agent = ureq::Agent::config_builder()
        .http_status_as_error(false)
        .max_redirects(0)
        .timeout_global(Some(PATIENCE))
        .allow_non_standard_methods(true)
        // Servers on this machine, with certificates that tests made; who presents which is looked at elsewhere.
        .tls_config(ureq::tls::TlsConfig::builder().disable_verification(true).build())
        .build()
        .into();
    let mut builder = ureq::http::Request::builder().method(method).uri(url);
    for (name, value) in headers {
        builder = builder.header(*name, *value);
    }
    let mut answer = agent.run(builder.body(body).unwrap())?;
    let headers = answer
        .headers()
        .iter()
        .map(|(n, v)| (n.as_str().to_owned(), String::from_utf8_lossy(v.as_bytes()).into_owned()))
        .collect();
    let status = answer.status().as_u16();
    let body = answer.body_mut().with_config().limit(64 << 20).read_to_vec()?;
    Ok(Answer { status, headers, body })
}

/// A running Sotto with its own data directory.
pub struct Sotto {
    child: Option<Child>,
    data: Arc<tempfile::TempDir>,
    cache: tempfile::TempDir,
    /// Public address, like `http://127.0.0.1:40001`.
    pub url: String,
    /// Private address.
    pub admin: String,
    /// One-time set-up link, while nobody owns the installation.
    pub set_up: Option<String>,
    /// The subcommand that runs: `serve`, or one half of it.
    part: &'static str,
    log: Arc<Mutex<String>>,
    environment: Vec<(String, String)>,
}

const LOOPBACK: &str = "listen = \"127.0.0.1:0\"\nadmin_listen = \"127.0.0.1:0\"\n";
/// Ships at once, so that tests do not wait.
const SHIP_AT_ONCE: &str = "[ship]\ninterval = \"50ms\"\n";

impl Sotto {
    /// Starts Sotto on an empty directory.
    pub fn start() -> Self {
        Self::start_with("")
    }

    /// Starts Sotto on an empty directory with more configuration.
    pub fn start_with(config: &str) -> Self {
        let data = Arc::new(tempfile::tempdir().unwrap());
        Self::start_in("serve", data, &format!("{LOOPBACK}{SHIP_AT_ONCE}{config}"))
    }

    /// Starts `collect` or `dashboard` on an empty directory.
    pub fn start_part(part: &'static str, config: &str) -> Self {
        let data = Arc::new(tempfile::tempdir().unwrap());
        Self::start_in(part, data, &format!("{LOOPBACK}{SHIP_AT_ONCE}{config}"))
    }

    /// Starts Sotto on an empty directory, with the default shipping settings.
    pub fn start_as_configured(config: &str) -> Self {
        Self::start_in("serve", Arc::new(tempfile::tempdir().unwrap()), &format!("{LOOPBACK}{config}"))
    }

    /// Starts Sotto on an empty directory and on a port that is known before, where its public URL is.
    pub fn start_on(port: u16, config: &str) -> Self {
        let here = format!(
            "listen = \"127.0.0.1:{port}\"\nadmin_listen = \"127.0.0.1:0\"\npublic_url = \"http://127.0.0.1:{port}\"\n"
        );
        let data = Arc::new(tempfile::tempdir().unwrap());
        Self::start_in("serve", data, &format!("{here}{SHIP_AT_ONCE}{config}"))
    }

    /// Starts Sotto on an empty directory with this configuration alone.
    pub fn start_with_all(config: &str) -> Self {
        Self::start_in("serve", Arc::new(tempfile::tempdir().unwrap()), config)
    }

    fn start_in(part: &'static str, data: Arc<tempfile::TempDir>, config: &str) -> Self {
        let mut sotto = Self {
            child: None,
            data,
            cache: tempfile::tempdir().unwrap(),
            url: String::new(),
            admin: String::new(),
            set_up: None,
            part,
            log: Arc::default(),
            environment: Vec::new(),
        };
        fs::write(sotto.config_file(), config).unwrap();
        sotto.spawn();
        sotto
    }

    fn config_file(&self) -> PathBuf {
        self.cache.path().join("sotto.toml")
    }

    /// The data directory.
    pub fn data(&self) -> PathBuf {
        self.data.path().join("data")
    }

    /// The program with the same configuration and data, without arguments yet.
    pub fn command(&self) -> Command {
        let mut command = Command::new(program());
        command.arg("--config").arg(self.config_file()).arg("--data").arg(self.data());
        command.stdin(Stdio::null());
        command.envs(self.environment.iter().map(|(name, value)| (name, value)));
        command
    }

    fn spawn(&mut self) {
        let mut child =
            self.command().arg(self.part).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
        let (lines, announced) = mpsc::channel();
        collect(child.stdout.take().unwrap(), self.log.clone(), Some(lines));
        collect(child.stderr.take().unwrap(), self.log.clone(), None);
        self.child = Some(child);
        self.set_up = None;
        loop {
            let Ok(line) = announced.recv_timeout(PATIENCE) else {
                panic!("sotto did not start:\n{}", self.log())
            };
            let last_word = line.split_whitespace().find(|w| w.starts_with("http")).unwrap_or_default();
            match line.split_whitespace().next() {
                Some("dashboard" | "collector") => self.url = last_word.trim_end_matches('/').to_owned(),
                Some("set") => self.set_up = Some(last_word.to_owned()),
                Some("health") => self.admin = last_word.trim_end_matches("/readyz").to_owned(),
                Some("data") => return,
                _ => {}
            }
        }
    }

    /// What it wrote to standard output and error so far.
    pub fn log(&self) -> String {
        self.log.lock().unwrap().clone()
    }

    /// Its process number.
    pub fn pid(&self) -> Pid {
        Pid::from_child(self.child.as_ref().unwrap())
    }

    /// Stops it as a supervisor does, and checks that it ended well.
    pub fn stop(&mut self) {
        let Some(mut child) = self.child.take() else { return };
        kill_process(Pid::from_child(&child), Signal::TERM).unwrap();
        let status = wait_for("a clean stop", || child.try_wait().unwrap());
        assert!(status.success(), "{status}\n{}", self.log());
    }

    /// Waits until it has ended by itself. Returns its exit code.
    pub fn ended(&mut self) -> Option<i32> {
        let mut child = self.child.take().expect("it runs");
        wait_for("its end", || child.try_wait().unwrap()).code()
    }

    /// Kills it without a chance to clean up.
    pub fn kill(&mut self) {
        let Some(mut child) = self.child.take() else { return };
        child.kill().unwrap();
        child.wait().unwrap();
    }

    /// Starts it again on the same data, after [`Sotto::stop`] or [`Sotto::kill`].
    pub fn start_again(&mut self) {
        assert!(self.child.is_none(), "stop or kill comes first");
        self.spawn();
    }

    /// Runs a command of the program on the same data and returns its standard output.
    ///
    /// # Panics
    /// When the command fails.
    pub fn run(&self, arguments: &[&str]) -> String {
        let (ok, out) = self.try_run(arguments, "");
        assert!(ok, "sotto {}: {out}", arguments.join(" "));
        out
    }

    /// Runs a command of the program on the same data with `input`. Returns whether it succeeded, and its
    /// output.
    pub fn try_run(&self, arguments: &[&str], input: &str) -> (bool, String) {
        let mut child = self
            .command()
            .args(arguments)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        child.stdin.take().unwrap().write_all(input.as_bytes()).unwrap();
        let output = child.wait_with_output().unwrap();
        let stdout = String::from_utf8_lossy(&output.stdout).into_owned();
        if output.status.success() {
            (true, stdout)
        } else {
            (false, stdout + &String::from_utf8_lossy(&output.stderr))
        }
    }

    /// Adds a site for pages on `hostname`, in a time zone where it is noon unless `more` sets one. Returns
    /// its key. Waits until the collector knows it.
    pub fn add_site(&self, hostname: &str, more: &[&str]) -> String {
        let noon = Noon::now();
        let place = if more.contains(&"--time-zone") { &[][..] } else { &["--time-zone", &noon.zone] };
        let listed = self.run(&[&["site", "add", hostname, "--json"], place, more].concat());
        let listed: Value = serde_json::from_str(&listed).unwrap();
        let key = listed[0]["key"].as_str().unwrap().to_owned();
        wait_for("the collector to know the site", || {
            // A hit for an unknown site makes the collector reload the sites.
            let probe =
                format!(r#"{{"v":1,"s":"{key}","k":"p","i":"probe","q":0,"b":1,"u":"https://{hostname}/"}}"#);
            let before = self.outcomes("dropped", "bot_automated");
            self.hit(&probe, &[]);
            (self.outcomes("dropped", "bot_automated") > before).then_some(())
        });
        key
    }

    /// Sends a hit as a person's browser does. Returns the status.
    pub fn hit(&self, body: &str, headers: &[(&str, &str)]) -> u16 {
        let mut all = vec![("user-agent", PERSON), ("accept-language", "de-DE,de;q=0.9")];
        all.retain(|(name, _)| !headers.iter().any(|(other, _)| other == name));
        all.extend(headers);
        request("POST", &format!("{}/e", self.url), &all, body.as_bytes()).status
    }

    /// How many hits ended in an outcome since the start.
    pub fn outcomes(&self, outcome: &str, reason: &str) -> u64 {
        let wanted = format!("sotto_hits_total{{outcome=\"{outcome}\",reason=\"{reason}\"}} ");
        let metrics = request("GET", &format!("{}/metrics", self.admin), &[], b"").text();
        metrics.lines().find_map(|l| l.strip_prefix(&wanted)?.parse().ok()).unwrap()
    }

    /// A report as the command line prints it.
    pub fn report(&self, site: &str, more: &[&str]) -> Vec<Value> {
        let text = self.run(&[&["report", site, "--json"], more].concat());
        serde_json::from_str(&text).unwrap()
    }

    /// What the embedded ClickHouse answers to whoever has the collector's password.
    pub fn ask_clickhouse(&self, sql: &str) -> String {
        let text = fs::read_to_string(self.data().join("clickhouse/endpoint.json")).unwrap();
        let endpoint: Value = serde_json::from_str(&text).unwrap();
        let access: Access = serde_json::from_value(endpoint["writer"].clone()).unwrap();
        let url = format!("{}/?database={}", access.url, access.database);
        let user =
            [("x-clickhouse-user", access.user.as_str()), ("x-clickhouse-key", access.password.as_str())];
        let answer = request("POST", &url, &user, sql.as_bytes());
        assert_eq!(answer.status, 200, "{}", answer.text());
        answer.text()
    }

    /// Waits until the report of `site` counts `pageviews`.
    pub fn wait_for_pageviews(&self, site: &str, pageviews: u64) {
        wait_for(&format!("{pageviews} pageviews"), || {
            let report = self.report(site, &["--metrics", "pageviews"]);
            (report[0]["pageviews"].as_f64() == Some(pageviews as f64)).then_some(())
        });
    }

    /// How many requests panicked inside Sotto.
    pub fn panics(&self) -> u64 {
        let metrics = request("GET", &format!("{}/metrics", self.admin), &[], b"").text();
        metrics.lines().find_map(|l| l.strip_prefix("sotto_panics_total ")?.parse().ok()).unwrap()
    }

    /// How many hits wait in the spool.
    pub fn waiting(&self) -> u64 {
        let told: Value = serde_json::from_str(&self.run(&["spool", "inspect", "--json"])).unwrap();
        told.as_array().unwrap().iter().map(|segment| segment["waiting"].as_u64().unwrap()).sum()
    }

    /// Environment variables for the program, from the next start on.
    pub fn with_environment(&mut self, variables: &[(&str, String)]) {
        self.environment =
            variables.iter().map(|(name, value)| ((*name).to_owned(), value.clone())).collect();
    }

    /// Process IDs of the embedded ClickHouse.
    pub fn clickhouse_pids(&self) -> Vec<Pid> {
        let mut children = children(self.pid());
        children.retain(|pid| !command_line(*pid).contains(KEEPER_COMMAND));
        children
    }

    /// Process ID of the keeper of its salts, if it has one.
    pub fn keeper_pid(&self) -> Option<Pid> {
        let socket = self.ram().join("salts-keeper").display().to_string();
        processes().into_iter().find(|pid| command_line(*pid).contains(&socket))
    }
}

impl Drop for Sotto {
    fn drop(&mut self) {
        if std::thread::panicking() {
            let log = self.log();
            let _written = writeln!(std::io::stderr(), "--- log of sotto ---\n{log}");
        }
        if let Some(mut child) = self.child.take() {
            let _gone = kill_process(Pid::from_child(&child), Signal::TERM);
            let _ended = child.wait();
        }
        self.end_salts();
    }
}

/// Reads a pipe into the log, and its lines into `lines`.
fn collect(pipe: impl Read + Send + 'static, log: Arc<Mutex<String>>, lines: Option<mpsc::Sender<String>>) {
    std::thread::spawn(move || {
        for line in BufReader::new(pipe).lines().map_while(Result::ok) {
            log.lock().unwrap().push_str(&format!("{line}\n"));
            if let Some(lines) = &lines {
                let _closed = lines.send(line);
            }
        }
    });
}

/// Process IDs of the children of `parent`.
pub fn children(parent: Pid) -> Vec<Pid> {
    let mut found = Vec::new();
    for task in
        fs::read_dir(format!("/proc/{}/task", parent.as_raw_nonzero())).into_iter().flatten().flatten()
    {
        let text = fs::read_to_string(task.path().join("children")).unwrap_or_default();
        found.extend(text.split_whitespace().filter_map(|pid| Pid::from_raw(pid.parse().ok()?)));
    }
    found
}

/// All processes of this machine.
pub fn processes() -> Vec<Pid> {
    let names = fs::read_dir("/proc").unwrap().flatten().map(|entry| entry.file_name());
    names.filter_map(|name| Pid::from_raw(name.to_str()?.parse().ok()?)).collect()
}

/// What a process was started with, separated by spaces; empty if it has ended.
pub fn command_line(pid: Pid) -> String {
    let text = fs::read_to_string(format!("/proc/{}/cmdline", pid.as_raw_nonzero())).unwrap_or_default();
    text.replace('\0', " ")
}

/// Whether a process is running (not a zombie).
pub fn is_alive(pid: Pid) -> bool {
    fs::read_to_string(format!("/proc/{}/stat", pid.as_raw_nonzero()))
        .is_ok_and(|stat| stat.rsplit(')').next().is_some_and(|rest| !rest.trim_start().starts_with('Z')))
}

/// A port that was free a moment ago.
pub fn free_port() -> u16 {
    TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port()
}

/// A connection to write raw bytes to.
pub fn connect(url: &str) -> TcpStream {
    let stream = TcpStream::connect(url.trim_start_matches("http://")).unwrap();
    stream.set_read_timeout(Some(PATIENCE)).unwrap();
    stream
}

/// All files under `dir`, with their contents.
pub fn files(dir: &Path) -> Vec<(PathBuf, Vec<u8>)> {
    let mut found = Vec::new();
    for entry in fs::read_dir(dir).into_iter().flatten().flatten() {
        let path = entry.path();
        if path.is_dir() {
            found.extend(files(&path));
        } else if let Ok(bytes) = fs::read(&path) {
            found.push((path, bytes));
        }
    }
    found
}
