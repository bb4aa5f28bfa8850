//! Browser-like load: many keep-alive connections, varied hits, and a record of what was acknowledged.
//!
//! Promises: every hit has its own id (its page view), is sent once unless told otherwise, and is recorded as
//! acknowledged only when the whole head of a response with status 204 was read.

use std::{
    io,
    net::SocketAddr,
    sync::{
        Arc, Barrier, Mutex, PoisonError,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    time::{Duration, Instant},
};

pub use crate::load_hits::seq_of;
use crate::{
    load_hits::Template,
    wire::{Speech, Wire},
};
use hdrhistogram::Histogram;
use sotto_schema::id::ViewId;

/// What to send, where, and how fast.
#[derive(Debug, Clone)]
pub struct Load {
    /// The server.
    pub target: Target,
    /// Key of the site.
    pub site: String,
    /// Open connections.
    pub connections: usize,
    /// Hits per second over all connections; `None`: as fast as answers come.
    pub rate: Option<f64>,
    /// For how long.
    pub time: Duration,
    /// Threads to send from.
    pub threads: usize,
    /// Number of the first hit; hits are numbered upwards from it.
    pub first: u64,
    /// Whether a broken connection is opened again, as browsers do.
    pub reconnect: bool,
}

/// The target, and how many hits it has acknowledged; clones share both. A server that restarts may have
/// moved.
#[derive(Debug, Clone)]
pub struct Target {
    address: Arc<Mutex<SocketAddr>>,
    acknowledged: Arc<AtomicU64>,
    speech: Speech,
}

impl Target {
    /// The server at a URL like `http://127.0.0.1:40001`.
    ///
    /// # Panics
    /// When it is no such URL.
    pub fn new(url: &str) -> Self {
        Self {
            address: Arc::new(Mutex::new(address(url))),
            acknowledged: Arc::default(),
            speech: Speech::default(),
        }
    }

    /// The same, spoken to like this.
    #[must_use]
    pub fn speaking(self, speech: Speech) -> Self {
        Self { speech, ..self }
    }

    /// Sends all further hits to another server.
    ///
    /// # Panics
    /// When `url` is not like `http://127.0.0.1:40001`.
    pub fn moved_to(&self, url: &str) {
        *self.address.lock().unwrap_or_else(PoisonError::into_inner) = address(url);
    }

    /// How many hits were acknowledged so far.
    pub fn acknowledged(&self) -> u64 {
        self.acknowledged.load(Ordering::Relaxed)
    }

    fn address(&self) -> SocketAddr {
        *self.address.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn address(url: &str) -> SocketAddr {
    url.trim_start_matches("http://").trim_start_matches("https://").parse().expect("an address")
}

/// The page view that is sent with the hit with this number.
pub fn view_of(number: u64) -> ViewId {
    // An id is read as a base-36 number.
    ViewId(u64::from_str_radix(&format!("{number:011x}"), 36).expect("eleven digits").max(1))
}

/// The result of a run.
#[derive(Debug)]
pub struct Sent {
    /// Numbers of the hits that were answered 204.
    pub acknowledged: Vec<u64>,
    /// Numbers of the hits that were answered otherwise.
    pub refused: Vec<u64>,
    /// Numbers of the hits without a response: whether they were kept is unknown.
    pub unanswered: Vec<u64>,
    /// From a hit's scheduled send time until its response was read, in microseconds.
    pub latency: Histogram<u64>,
    /// Total duration.
    pub time: Duration,
}

impl Sent {
    fn new() -> Self {
        let latency = Histogram::new_with_max(60_000_000, 3).expect("valid bounds");
        Self {
            acknowledged: Vec::new(),
            refused: Vec::new(),
            unanswered: Vec::new(),
            latency,
            time: Duration::ZERO,
        }
    }

    fn add(&mut self, other: Self) {
        self.acknowledged.extend(other.acknowledged);
        self.refused.extend(other.refused);
        self.unanswered.extend(other.unanswered);
        self.latency.add(other.latency).expect("the same bounds");
    }

    /// Acknowledged hits per second.
    pub fn rate(&self) -> f64 {
        self.acknowledged.len() as f64 / self.time.as_secs_f64()
    }

    /// A quantile of the latency, in milliseconds.
    pub fn quantile_ms(&self, quantile: f64) -> f64 {
        self.latency.value_at_quantile(quantile) as f64 / 1_000.0
    }
}

/// Sends hits until the time is over or `stop` is set.
///
/// # Panics
/// When a thread or its runtime cannot be started.
pub fn run(load: &Load, stop: &Arc<AtomicBool>) -> Sent {
    let next = Arc::new(AtomicU64::new(load.first));
    let ready = Arc::new(Barrier::new(load.threads + 1));
    let threads: Vec<_> = (0..load.threads)
        .map(|thread| {
            let (load, next, stop, ready) = (load.clone(), next.clone(), stop.clone(), ready.clone());
            std::thread::spawn(move || run_thread(&load, thread, &next, &stop, &ready))
        })
        .collect();
    ready.wait();
    let started = Instant::now();
    let mut sent = Sent::new();
    for thread in threads {
        sent.add(thread.join().expect("the sender does not panic"));
    }
    sent.time = started.elapsed();
    sent
}

fn run_thread(
    load: &Load,
    thread: usize,
    next: &Arc<AtomicU64>,
    stop: &Arc<AtomicBool>,
    ready: &Barrier,
) -> Sent {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
    runtime.block_on(async {
        let mut connections = Vec::new();
        for index in (thread..load.connections).step_by(load.threads) {
            let mut connection = Connection::new(load, index);
            // Opened before the clock starts; a refused one is retried when it is needed.
            connection.stream = Wire::open(load.target.address(), &load.target.speech).await.ok();
            connections.push(connection);
        }
        ready.wait();
        let started = Instant::now();
        let tasks: Vec<_> = connections
            .into_iter()
            .map(|connection| {
                let (load, next, stop) = (load.clone(), next.clone(), stop.clone());
                tokio::spawn(async move { connection.run(&load, &next, &stop, started).await })
            })
            .collect();
        let mut sent = Sent::new();
        for task in tasks {
            sent.add(task.await.expect("the sender does not panic"));
        }
        sent
    })
}

struct Connection {
    stream: Option<Wire>,
    templates: Vec<Template>,
    index: usize,
    sent: Sent,
    buffer: Vec<u8>,
}

/// How many different hits a connection sends in turn.
const TEMPLATES: usize = 64;
/// Pause before a server that does not accept is retried: load, not a test that waits.
const RECONNECT_PAUSE: Duration = Duration::from_millis(5);

impl Connection {
    fn new(load: &Load, index: usize) -> Self {
        let templates =
            (0..TEMPLATES).map(|n| Template::new(&load.site, (index * TEMPLATES + n) as u64)).collect();
        Self { stream: None, templates, index, sent: Sent::new(), buffer: vec![0; 4096] }
    }

    async fn run(mut self, load: &Load, next: &AtomicU64, stop: &AtomicBool, started: Instant) -> Sent {
        // Connections take turns, instead of all sending at once.
        let gap = load.rate.map(|rate| Duration::from_secs_f64(load.connections as f64 / rate));
        let mut due = started + gap.unwrap_or_default().mul_f64(self.index as f64 / load.connections as f64);
        let end = started + load.time;
        loop {
            let mut from = Instant::now();
            if let Some(gap) = gap {
                tokio::time::sleep_until(due.into()).await;
                from = due;
                due += gap;
            }
            if from >= end || stop.load(Ordering::Relaxed) {
                return self.sent;
            }
            if self.stream.is_none() {
                let opened = Wire::open(load.target.address(), &load.target.speech).await;
                let Ok(stream) = opened else {
                    if !load.reconnect {
                        return self.sent;
                    }
                    tokio::time::sleep(RECONNECT_PAUSE).await;
                    continue;
                };
                self.stream = Some(stream);
            }
            let number = next.fetch_add(1, Ordering::Relaxed);
            match self.send(number).await {
                Ok(204) => {
                    self.sent.acknowledged.push(number);
                    load.target.acknowledged.fetch_add(1, Ordering::Relaxed);
                    let micros = u64::try_from(from.elapsed().as_micros()).unwrap_or(u64::MAX);
                    self.sent.latency.saturating_record(micros);
                }
                Ok(_) => self.sent.refused.push(number),
                Err(_) => {
                    self.sent.unanswered.push(number);
                    self.stream = None;
                    if !load.reconnect {
                        return self.sent;
                    }
                }
            }
        }
    }

    /// Sends one hit and reads the answer; its status.
    async fn send(&mut self, number: u64) -> io::Result<u16> {
        let count = self.templates.len();
        let bytes = self.templates[number as usize % count].numbered(number);
        let stream = self.stream.as_mut().ok_or(io::ErrorKind::NotConnected)?;
        let (status, usable) = stream.send(bytes, &mut self.buffer).await?;
        if !usable {
            self.stream = None;
        }
        Ok(status)
    }
}
