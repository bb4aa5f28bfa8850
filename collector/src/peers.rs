//! Several collectors in one installation: they agree on salts and share visits, so that a visitor whose hits
//! are load-balanced across them stays one visitor with one visit.
//!
//! It knows nothing of hits, the spool or ClickHouse; whether others answer never decides whether a hit is kept.
//!
//! # Threat model
//!
//! A salt ([`crate::visitor::salts`]) must be the same on all collectors during its day, and exist nowhere
//! afterwards. It must not pass through a database, a log or a backup: whatever is written there outlives the
//! day. So collectors talk to each other directly.
//!
//! This protects against:
//! * an eavesdropper, even one who steals the shared key later: the connection is Noise `NNpsk0`
//!   ([`channel`]), with ephemeral keys per connection that are discarded with it;
//! * a man in the middle, or a caller without the key: both ends prove they have it before anything is sent;
//! * whoever obtains ClickHouse, disks, logs or backups: none of this is there. The ledger has commitments
//!   only.
//!
//! It does not protect against someone who reads the memory of a running collector, or who has the shared key
//! *while* salts are alive (they can ask for today's salts, as any collector can). Frames with salts are
//! overwritten after use, but briefly sit in memory that is not locked; salts themselves do not.
//!
//! # How a salt is agreed
//!
//! Each (site, day) ranks all collectors by a hash of their names. A collector that needs a salt asks the
//! first reachable one in that order to make it; that one first asks all the others whether a salt exists,
//! makes one if not, and broadcasts it. On connecting, a collector sends all the salts it has. Two salts for
//! one (site, day) exist only after a partition; then every collector keeps the one with the smaller
//! commitment and destroys the other, without further messages. Merging is commutative and idempotent, so
//! message order does not matter. A salt of a past day is accepted within the grace
//! period only.
//!
//! **No hit waits long or is lost.** A hit whose salt is missing waits at most [`AGREE_PATIENCE`]. Then the
//! collector makes a salt alone: visitors of that site who reach both sides of the partition count twice
//! until the sides meet, and those on the side whose salt is given up count once more afterwards.
//! `sotto_salts_alone_total`, `sotto_salts_replaced_total` and `sotto_hits_partitioned_total` count how
//! often.
//!
//! **Destroyed everywhere.** Each collector destroys its copy by the same rule (the end of the site's day
//! plus half an hour, [`crate::visitor::salts::GRACE_MS`]) and records its copy's birth and death in its own
//! chain of the ledger.
//!
//! # Visits, page views, retries
//!
//! A visit's number depends only on the visitor and the half hour in which it began
//! ([`crate::visitor::sessions`]), so two collectors that see a new visitor at once agree without
//! communicating. Each hit's visit (and a page view's page) is sent to all others immediately, without
//! waiting for anything; on connecting, all ongoing visits are sent.
//! * Exact: visitors; visits whose first hits do not straddle a half-hour boundary within one message delay
//!   (about a millisecond).
//! * Approximate: a report about a page view (reading time, vitals) that overtakes the message about its page
//!   view
//!   has no visit or no page. During a partition, a visit that spans a half-hour boundary on both sides may
//!   become
//!   two. Visits dropped from a full queue are counted in `sotto_peer_notes_lost_total`.
//! * A client's retry that reaches another collector is a separate hit: only the collector that has the first
//!   one recognises it.
//!
//! **Clocks** of all collectors must agree to within about a second (NTP).
//!
//! **Proof**: tests below and in [`channel`], `tests/suite/peers.rs` (two collectors behind a balancer).

use std::{
    collections::HashMap,
    io,
    os::unix::fs::PermissionsExt,
    path::Path,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    time::Duration,
};

use bytes::Bytes;
use sotto_schema::{
    clock::Clock,
    day::Day,
    event::{Event, Kind},
    id::{SiteId, ViewId, VisitorKey},
};
use tokio::sync::{mpsc, oneshot, watch};
use tokio_util::task::TaskTracker;
use zeroize::Zeroizing;

use crate::{
    config::{OTHERS_MAX, sites::rules::RuleBook},
    metrics::Metrics,
    supervise::{Part, Supervisor},
    visitor::{
        objections::Objections,
        page_view_cache::PageViewCache,
        salts::{GRACE_MS, Salts, Taken, Term},
        sessions::Sessions,
    },
};

pub mod channel;
mod link;
pub mod message;

use channel::KEY_BYTES;
use message::{Record, Visit, Want};

/// How long a hit waits for agreement on a salt.
pub const AGREE_PATIENCE: Duration = Duration::from_millis(500);
/// Timeout for one collector's answer.
const ASK_TIMEOUT: Duration = Duration::from_millis(200);
/// How long a start waits for the others before it accepts hits.
pub const MEET_PATIENCE: Duration = Duration::from_secs(2);
/// Maximum queued notes per collector; further ones are dropped and counted.
const OUTBOX_MAX: usize = 16_384;

/// The set of collectors.
pub struct Settings {
    /// Name of this one; the others list it under this name.
    pub name: String,
    /// Name and address, like "c2.example.org:8790", of each of the others; at most [`OTHERS_MAX`].
    pub others: Vec<(String, String)>,
    /// The shared secret key.
    pub key: Zeroizing<[u8; KEY_BYTES]>,
}

/// State shared with the others.
#[derive(Clone)]
pub struct LocalState {
    /// Salts of the day.
    pub salts: Arc<Salts>,
    /// Visits of the last half hour.
    pub sessions: Arc<Sessions>,
    /// Pages of recent page views.
    pub views: Arc<PageViewCache>,
    /// Visitors who objected today.
    pub objections: Arc<Objections>,
    /// Rules of all sites, for the end of their days.
    pub rules: Arc<RuleBook>,
    /// Counts failures.
    pub metrics: Arc<Metrics>,
    /// Tells the time.
    pub clock: Clock,
}

type Turns = HashMap<(SiteId, Day), Arc<tokio::sync::Mutex<()>>>;

/// The other collectors.
pub struct Peers {
    settings: Settings,
    local: LocalState,
    links: Vec<Link>,
    /// How many of the links are connected.
    connected: watch::Sender<usize>,
    /// Held while a salt is being agreed, so that many hits ask once.
    turns: Mutex<Turns>,
    next_id: AtomicU64,
    tasks: TaskTracker,
}

/// The connection to one of the others.
struct Link {
    name: String,
    address: String,
    outbox: mpsc::Sender<Note>,
    /// The outbox's receiving end. Held by the calling task.
    unsent: tokio::sync::Mutex<mpsc::Receiver<Note>>,
    connected: AtomicBool,
    /// Pending questions by id.
    wanted: Mutex<HashMap<u64, oneshot::Sender<bool>>>,
    /// Notified when the connection must be reset, because something that must be sent did not fit into the
    /// queue.
    reset: tokio::sync::Notify,
}

/// An outgoing message.
enum Note {
    /// Records that hold nothing secret.
    Told(Bytes),
    /// The salt as it is when the note is sent; it is never copied into the queue.
    Salt(SiteId, Day),
    Want(Want),
    Answer(u64, bool),
    Pong,
}

/// Reads the key that all collectors share: 64 hexadecimal digits in a file that only its owner can read.
///
/// # Errors
/// When the file cannot be read, others may read it, or it holds something else.
pub fn read_key(path: &Path) -> io::Result<Zeroizing<[u8; KEY_BYTES]>> {
    let refuse = |why: &str| io::Error::new(io::ErrorKind::InvalidData, format!("{}: {why}", path.display()));
    let mode = std::fs::metadata(path).map_err(|e| refuse(&e.to_string()))?.permissions().mode();
    if mode & 0o077 != 0 {
        return Err(refuse("others may read it; chmod 600"));
    }
    let text = Zeroizing::new(std::fs::read_to_string(path).map_err(|e| refuse(&e.to_string()))?);
    let digits = text.trim();
    let mut key = Zeroizing::new([0; KEY_BYTES]);
    if digits.len() != 2 * KEY_BYTES || const_hex::decode_to_slice(digits, &mut *key).is_err() {
        return Err(refuse("it must hold 64 hexadecimal digits, as of `openssl rand -hex 32`"));
    }
    Ok(key)
}

impl Peers {
    /// The others, not yet connected.
    pub fn new(settings: Settings, local: LocalState) -> Arc<Self> {
        let links = settings
            .others
            .iter()
            .take(OTHERS_MAX)
            .map(|(name, address)| {
                let (outbox, unsent) = mpsc::channel(OUTBOX_MAX);
                Link {
                    name: name.clone(),
                    address: address.clone(),
                    outbox,
                    unsent: tokio::sync::Mutex::new(unsent),
                    connected: AtomicBool::new(false),
                    wanted: Mutex::default(),
                    reset: tokio::sync::Notify::new(),
                }
            })
            .collect();
        Arc::new(Self {
            settings,
            local,
            links,
            connected: watch::Sender::new(0),
            turns: Mutex::default(),
            next_id: AtomicU64::new(1),
            tasks: TaskTracker::new(),
        })
    }

    /// Starts calling the others and answering their calls on `listener`, until the supervisor stops.
    pub fn start(self: &Arc<Self>, listener: std::net::TcpListener, supervisor: &Supervisor) {
        let (peers, stop) = (self.clone(), supervisor.stopping().clone());
        supervisor
            .keep(Part::PeerListener, move || peers.clone().answer_calls(listener.try_clone(), stop.clone()));
        for index in 0..self.links.len() {
            let (peers, stop) = (self.clone(), supervisor.stopping().clone());
            supervisor.keep(Part::PeerLink, move || peers.clone().keep_calling(index, stop.clone()));
        }
        self.tasks.close();
    }

    /// Waits up to `patience` until all others are connected; returns whether they are.
    pub async fn meet(&self, patience: Duration) -> bool {
        let mut connected = self.connected.subscribe();
        let all = connected.wait_for(|n| *n == self.links.len());
        tokio::time::timeout(patience, all).await.is_ok()
    }

    /// Waits until all answered calls have ended, after a stop.
    pub async fn ended(&self) {
        self.tasks.wait().await;
    }

    /// How many others there are, and how many of them are connected.
    pub fn count(&self) -> (usize, usize) {
        (self.links.len(), *self.connected.borrow())
    }

    /// Whether another collector is unreachable.
    pub fn is_partitioned(&self) -> bool {
        *self.connected.borrow() < self.links.len()
    }

    /// Tells the others about an accepted hit, with the number of its page view in the browser.
    pub fn tell(&self, event: &Event, view: ViewId) {
        let mut record = Vec::new();
        if event.visitor.is_some() && event.session.is_some() {
            let visit = Visit {
                site: event.site,
                visitor: event.visitor,
                session: event.session,
                time_ms: event.time.0,
            };
            message::write_visit(&visit, &mut record);
        }
        if event.kind == Kind::Pageview && event.view.is_some() {
            message::write_view(event.site, view, &event.hostname, &event.path, &mut record);
        }
        if record.is_empty() {
            return;
        }
        let record = Bytes::from(record);
        for link in self.links.iter().filter(|l| l.connected.load(Ordering::Acquire)) {
            if link.outbox.try_send(Note::Told(record.clone())).is_err() {
                self.local.metrics.peer_notes_lost.fetch_add(1, Ordering::Relaxed);
            }
        }
    }

    /// Makes sure that the salt of (site, day) exists and is agreed among all collectors, if they can be
    /// reached in time.
    pub async fn agree(&self, site: SiteId, day: Day) {
        if self.local.salts.get(site, day).is_some() {
            return;
        }
        let turn = self.turns().entry((site, day)).or_default().clone();
        let asked = async {
            let _held = turn.lock().await;
            if self.local.salts.get(site, day).is_none() {
                self.ask(site, day).await;
            }
        };
        if tokio::time::timeout(AGREE_PATIENCE, asked).await.is_err() {
            tracing::debug!("a salt was not agreed in time");
        }
        self.turns().remove(&(site, day));
    }

    /// A salt was made without agreement, because a hit could not wait any longer.
    pub fn made_alone(&self, site: SiteId, day: Day) {
        self.local.metrics.salts_alone.fetch_add(1, Ordering::Relaxed);
        self.push(site, day);
    }

    async fn ask(&self, site: SiteId, day: Day) {
        let own = rank(site, day, &self.settings.name);
        let mut before: Vec<&Link> = self.reachable().collect();
        before.retain(|link| rank(site, day, &link.name) < own);
        before.sort_by_key(|link| rank(site, day, &link.name));
        for link in before {
            if self.want(link, site, day, true).await && self.local.salts.get(site, day).is_some() {
                return;
            }
        }
        // No collector ranked before us is reachable. One that is may have got the salt from them.
        let asked = self.reachable().map(|link| self.want(link, site, day, false));
        futures_util::future::join_all(asked).await;
        if self.local.salts.get(site, day).is_some() {
            return;
        }
        let Some(term) = self.term(site, day) else { return };
        match self.local.salts.today(site, day, term) {
            Ok(_) if self.is_partitioned() => self.made_alone(site, day),
            Ok(_) => self.push(site, day),
            Err(error) => tracing::error!(%error, "no salt can be made"),
        }
    }

    /// Asks another collector; returns whether it has the salt, which has then been received.
    async fn want(&self, link: &Link, site: SiteId, day: Day, make: bool) -> bool {
        let id = self.next_id.fetch_add(1, Ordering::Relaxed);
        let (answered, answer) = oneshot::channel();
        link.wanted().insert(id, answered);
        let sent = link.outbox.try_send(Note::Want(Want { id, site, day, make })).is_ok();
        let answer = sent && matches!(tokio::time::timeout(ASK_TIMEOUT, answer).await, Ok(Ok(true)));
        link.wanted().remove(&id);
        answer
    }

    /// Sends a salt to all others. One that cannot be reached now gets all salts when it reconnects.
    fn push(&self, site: SiteId, day: Day) {
        for link in self.reachable() {
            if link.outbox.try_send(Note::Salt(site, day)).is_err() {
                link.reset.notify_one();
            }
        }
    }

    /// Sends an objection to all others. One that cannot be reached now gets all of them when it reconnects.
    pub fn tell_objection(&self, site: SiteId, day: Day, visitor: VisitorKey) {
        let mut record = Vec::new();
        message::write_objection(site, day, visitor, &mut record);
        let record = Bytes::from(record);
        for link in self.reachable() {
            if link.outbox.try_send(Note::Told(record.clone())).is_err() {
                link.reset.notify_one();
            }
        }
    }

    fn reachable(&self) -> impl Iterator<Item = &Link> {
        self.links.iter().filter(|link| link.connected.load(Ordering::Acquire))
    }

    fn turns(&self) -> std::sync::MutexGuard<'_, Turns> {
        self.turns.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Whether a salt may be accepted: its day is today, tomorrow, or ended less than the grace period ago.
    fn is_current(&self, site: SiteId, day: Day) -> bool {
        let now_ms = self.local.clock.now_ms();
        self.local.rules.by_id(site).is_some_and(|rules| {
            day.0 <= rules.day(now_ms).0.saturating_add(1) && now_ms < rules.day_end_ms(day) + GRACE_MS
        })
    }

    /// How long a salt of this site and day lives; `None` if the site is not known.
    fn term(&self, site: SiteId, day: Day) -> Option<Term> {
        let rules = self.local.rules.by_id(site)?;
        Some(Term::of_day(rules.day_end_ms(day), self.local.clock.now_ms()))
    }

    /// Handles a record from another collector. `replies` takes the answers.
    fn hear(self: &Arc<Self>, record: Record<'_>, link: Option<&Link>, replies: &mpsc::Sender<Note>) {
        match record {
            Record::Salt(site, day, salt) => {
                if !self.is_current(site, day) {
                    return;
                }
                let Some(term) = self.term(site, day) else { return };
                match self.local.salts.take_over(site, day, salt, term) {
                    Ok(Taken::Replaced) => {
                        self.local.metrics.salts_replaced.fetch_add(1, Ordering::Relaxed);
                        tracing::warn!("a salt was replaced by another collector's");
                    }
                    Ok(Taken::New | Taken::Same | Taken::Kept) => {}
                    Err(error) => tracing::error!(%error, "a salt cannot be kept"),
                }
            }
            Record::Want(want) => {
                let (peers, replies) = (self.clone(), replies.clone());
                self.tasks.spawn(async move { peers.reply(want, &replies).await });
            }
            Record::Answer(id, has) => {
                if let Some(waiting) = link.and_then(|l| l.wanted().remove(&id)) {
                    // The asker may have timed out.
                    let _gone = waiting.send(has);
                }
            }
            Record::Visit(Visit { site, visitor, session, time_ms }) => {
                self.local.sessions.note(site, visitor, session, time_ms);
            }
            Record::View(site, view, hostname, path) => {
                self.local.views.remember(site, view, &hostname.into(), &path.into());
            }
            Record::Objection(site, day, visitor) => self.hear_objection(site, day, visitor),
            Record::Ping => {
                // If the queue is full, other answers already show that we are alive.
                let _full = replies.try_send(Note::Pong);
            }
            Record::Pong => {}
        }
    }

    fn hear_objection(&self, site: SiteId, day: Day, visitor: VisitorKey) {
        let objections = &self.local.objections;
        if !self.is_current(site, day) || objections.contains(site, day, visitor) {
            return;
        }
        match objections.note(site, day, visitor) {
            Ok(true) => {}
            Ok(false) => tracing::error!("there is no room for an objection that another collector took"),
            Err(error) => tracing::error!(%error, "an objection will be lost at the next restart"),
        }
    }

    async fn reply(&self, want: Want, replies: &mpsc::Sender<Note>) {
        let Want { id, site, day, make } = want;
        if make && self.is_current(site, day) {
            self.agree(site, day).await;
        }
        let has = self.local.salts.get(site, day).is_some();
        if has && replies.send(Note::Salt(site, day)).await.is_err() {
            return;
        }
        // The connection has ended; there is nobody left to answer.
        let _gone = replies.send(Note::Answer(id, has)).await;
    }
}

impl Link {
    fn wanted(&self) -> std::sync::MutexGuard<'_, HashMap<u64, oneshot::Sender<bool>>> {
        self.wanted.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Ranks collectors for making the salt of (site, day): the lowest goes first.
fn rank(site: SiteId, day: Day, name: &str) -> ([u8; 32], String) {
    let mut hasher = blake3::Hasher::new_derive_key("sotto 2026-11 maker of a salt");
    hasher.update(&site.0.to_le_bytes());
    hasher.update(&day.0.to_le_bytes());
    hasher.update(name.as_bytes());
    (*hasher.finalize().as_bytes(), name.to_owned())
}

#[cfg(test)]
mod tests;
