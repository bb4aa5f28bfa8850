//! The keeper: a small process that holds salts where the kernel's keyring does not, and outlives the program.
//!
//! It is this program, started once more with [`KEEPER_COMMAND`] and the path of its socket; the socket itself comes as
//! standard input, so that it can be asked at once. It holds salts in locked memory that nobody may trace or dump, in no
//! file. It ends when its last salt is dead. Whoever ends it before, by whatever signal, has destroyed the salts.
//!
//! **Promises.** A salt is overwritten when its time is over, at most [`LOOK_INTERVAL`] later where the machine slept,
//! whether the program runs or not. It answers only processes of the same user, and asks only one. Everything is bounded:
//! salts, requests, and the time that one may take.
//!
//! A request is an operation, a site, a day, how long the salt lives, and the salt; the answer is one byte, or all
//! salts.

use std::{
    collections::HashMap,
    fs,
    io::{self, Read, Write},
    os::{
        fd::AsFd,
        unix::net::{UnixListener, UnixStream},
    },
    path::{Path, PathBuf},
    process::{Command, Stdio},
    time::Duration,
};

use rustix::{
    event::{PollFd, PollFlags, Timespec, poll},
    net::sockopt::socket_peercred,
    process::{DumpableBehavior, Resource, Rlimit, geteuid, set_dumpable_behavior, setrlimit, setsid},
    time::{ClockId, clock_gettime},
};
use sotto_schema::{day::Day, id::SiteId};
use zeroize::{Zeroize, Zeroizing};

use super::{HeldSalt, RECORD_BYTES, SALT_BYTES, SALTS_MAX, Salt};

/// The argument with which the program becomes the keeper.
pub const KEEPER_COMMAND: &str = "keep-salts";
/// The name of its socket.
const SOCKET: &str = "salts-keeper";
/// How often the time is looked at while nothing happens.
const LOOK_INTERVAL: Duration = Duration::from_secs(10);
/// How long one request may take: the next death waits for it.
const PATIENCE: Duration = Duration::from_secs(1);
/// How long a new keeper waits for its first salt.
const IDLE_MAX: Duration = Duration::from_secs(60);
const REQUEST_BYTES: usize = 1 + 8 + 2 + 8 + SALT_BYTES;

const PUT: u8 = b'p';
const REMOVE: u8 = b'r';
const ALL: u8 = b'a';
const END: u8 = b'e';
const DONE: u8 = b'+';
const FULL: u8 = b'!';

/// Asks the keeper, and starts it when there is something to hold.
#[derive(Debug)]
pub struct Keeper {
    socket: PathBuf,
    program: Option<PathBuf>,
}

impl Keeper {
    /// The keeper with its socket in `dir`; `program` is started if there is none.
    pub fn new(dir: &Path, program: Option<PathBuf>) -> Self {
        Self { socket: dir.join(SOCKET), program }
    }

    /// All salts that it holds; none if it does not run.
    ///
    /// # Errors
    /// When it does not answer.
    pub fn all(&self) -> io::Result<Vec<HeldSalt>> {
        let Some(mut stream) = self.running()? else { return Ok(Vec::new()) };
        ask(&mut stream, ALL, SiteId(0), Day(0), Duration::ZERO, None)?;
        let mut count = [0; 4];
        stream.read_exact(&mut count)?;
        let count = u32::from_le_bytes(count) as usize;
        if count > SALTS_MAX {
            return Err(io::ErrorKind::InvalidData.into());
        }
        (0..count)
            .map(|_| {
                let mut record = Zeroizing::new([0; RECORD_BYTES]);
                stream.read_exact(&mut *record)?;
                super::decode(&record).ok_or_else(|| io::ErrorKind::InvalidData.into())
            })
            .collect()
    }

    /// Holds a salt for `lives`, in place of the one of the same site and day.
    ///
    /// # Errors
    /// When no keeper can be started, or it has no room.
    pub fn put(&self, site: SiteId, day: Day, salt: &Salt, lives: Duration) -> io::Result<()> {
        let put = |mut stream: UnixStream| {
            ask(&mut stream, PUT, site, day, lives, Some(salt))?;
            done(&mut stream)
        };
        // One that is just ending is replaced.
        match self.running()? {
            Some(stream) => put(stream).or_else(|_| put(self.start()?)),
            None => put(self.start()?),
        }
    }

    /// Destroys a salt.
    ///
    /// # Errors
    /// When the keeper does not answer.
    pub fn remove(&self, site: SiteId, day: Day) -> io::Result<()> {
        let Some(mut stream) = self.running()? else { return Ok(()) };
        ask(&mut stream, REMOVE, site, day, Duration::ZERO, None)?;
        done(&mut stream)
    }

    /// Destroys all salts, and ends the keeper.
    ///
    /// # Errors
    /// When it does not answer.
    pub fn end(&self) -> io::Result<()> {
        let Some(mut stream) = self.running()? else { return Ok(()) };
        ask(&mut stream, END, SiteId(0), Day(0), Duration::ZERO, None)?;
        done(&mut stream)
    }

    /// A connection to the keeper, if it runs.
    fn running(&self) -> io::Result<Option<UnixStream>> {
        match UnixStream::connect(&self.socket) {
            Ok(stream) => guarded(stream).map(Some),
            Err(error)
                if matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::ConnectionRefused) =>
            {
                Ok(None)
            }
            Err(error) => Err(error),
        }
    }

    fn start(&self) -> io::Result<UnixStream> {
        let program =
            self.program.as_ref().ok_or_else(|| io::Error::other("no program that keeps salts is known"))?;
        // Left behind by one that was killed.
        if let Err(error) = fs::remove_file(&self.socket)
            && error.kind() != io::ErrorKind::NotFound
        {
            return Err(error);
        }
        let listener = UnixListener::bind(&self.socket)?;
        let mut child = Command::new(program)
            .arg(KEEPER_COMMAND)
            .arg(&self.socket)
            .env_clear()
            .current_dir("/")
            .stdin(Stdio::from(std::os::fd::OwnedFd::from(listener)))
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()?;
        // It usually outlives us; if not, somebody has to hear of its end.
        std::thread::spawn(move || child.wait());
        guarded(UnixStream::connect(&self.socket)?)
    }
}

/// A connection that cannot take for ever, to a process of this user.
fn guarded(stream: UnixStream) -> io::Result<UnixStream> {
    stream.set_read_timeout(Some(PATIENCE))?;
    stream.set_write_timeout(Some(PATIENCE))?;
    if socket_peercred(&stream)?.uid == geteuid() {
        Ok(stream)
    } else {
        Err(io::Error::new(io::ErrorKind::PermissionDenied, "the socket of the keeper is another user's"))
    }
}

fn ask(
    stream: &mut UnixStream,
    operation: u8,
    site: SiteId,
    day: Day,
    lives: Duration,
    salt: Option<&Salt>,
) -> io::Result<()> {
    let mut request = Zeroizing::new([0; REQUEST_BYTES]);
    request[0] = operation;
    request[1..9].copy_from_slice(&site.0.to_le_bytes());
    request[9..11].copy_from_slice(&day.0.to_le_bytes());
    let lives_ms = u64::try_from(lives.as_millis()).unwrap_or(u64::MAX);
    request[11..19].copy_from_slice(&lives_ms.to_le_bytes());
    if let Some(salt) = salt {
        request[19..].copy_from_slice(salt.0.as_slice());
    }
    stream.write_all(&*request)
}

fn done(stream: &mut UnixStream) -> io::Result<()> {
    let mut answer = [0];
    stream.read_exact(&mut answer)?;
    if answer[0] == DONE { Ok(()) } else { Err(io::Error::other("the keeper of salts has no room")) }
}

/// The keeper's own part: serves until its last salt is dead. Standard input is the socket, `socket` its path.
///
/// # Errors
/// When it cannot serve; all salts are gone then.
pub fn serve(socket: &Path) -> io::Result<()> {
    // Signals for the program's session are not for the keeper.
    let _leads_already = setsid();
    set_dumpable_behavior(DumpableBehavior::NotDumpable)?;
    setrlimit(Resource::Core, Rlimit { current: Some(0), maximum: Some(0) })?;
    let listener = UnixListener::from(io::stdin().as_fd().try_clone_to_owned()?);
    let mut held = Held::default();
    let (mut last_use, mut has_held) = (since_boot(), false);
    loop {
        held.die(since_boot());
        if held.salts.is_empty() && (has_held || since_boot() >= last_use + IDLE_MAX) {
            break;
        }
        has_held |= !held.salts.is_empty();
        let next = held.next_death().map_or(LOOK_INTERVAL, |at| at.saturating_sub(since_boot()));
        if !is_asked(&listener, next.min(LOOK_INTERVAL))? {
            continue;
        }
        let (stream, _) = listener.accept()?;
        last_use = since_boot();
        // A client that goes away or is another user's changes nothing.
        if guarded(stream)
            .and_then(|mut stream| held.answer(&mut stream, since_boot()))
            .is_ok_and(|ends| ends)
        {
            break;
        }
    }
    // Before the socket is closed: a program that finds no socket starts a new keeper.
    fs::remove_file(socket)
}

/// Waits for a request, at most `patience`.
fn is_asked(listener: &UnixListener, patience: Duration) -> io::Result<bool> {
    // Rounded up, so that it does not wake a moment too early again and again.
    let patience = patience + Duration::from_millis(1);
    let timeout = Timespec::try_from(patience).map_err(io::Error::other)?;
    match poll(&mut [PollFd::new(listener, PollFlags::IN)], Some(&timeout)) {
        Ok(ready) => Ok(ready > 0),
        Err(rustix::io::Errno::INTR) => Ok(false),
        Err(error) => Err(error.into()),
    }
}

/// Time since the machine started, in which it may have slept. Nobody can set it.
fn since_boot() -> Duration {
    let now = clock_gettime(ClockId::Boottime);
    Duration::try_from(now).unwrap_or_default()
}

/// What a keeper holds, and since when each is dead, by [`since_boot`].
#[derive(Default)]
struct Held {
    salts: HashMap<(SiteId, Day), (Salt, Duration)>,
}

impl Held {
    fn die(&mut self, now: Duration) {
        self.salts.retain(|_, (_, dies)| now < *dies);
    }

    fn next_death(&self) -> Option<Duration> {
        self.salts.values().map(|(_, dies)| *dies).min()
    }

    /// Answers one request; returns whether the keeper is to end.
    fn answer(&mut self, stream: &mut UnixStream, now: Duration) -> io::Result<bool> {
        let mut request = Zeroizing::new([0; REQUEST_BYTES]);
        stream.read_exact(&mut *request)?;
        let (operation, rest) = (request[0], &request[1..]);
        let mut record = Zeroizing::new([0; RECORD_BYTES]);
        record[..10].copy_from_slice(&rest[..10]);
        record[10..].copy_from_slice(&rest[18..]);
        let mut lives_ms = [0; 8];
        lives_ms.copy_from_slice(&rest[10..18]);
        let Some((site, day, salt)) = super::decode(&record) else { return Ok(false) };
        match operation {
            PUT => {
                let lives = Duration::from_millis(u64::from_le_bytes(lives_ms));
                let answer = if self.put(site, day, salt, now.saturating_add(lives)) { DONE } else { FULL };
                stream.write_all(&[answer])?;
            }
            REMOVE => {
                self.salts.remove(&(site, day));
                stream.write_all(&[DONE])?;
            }
            ALL => self.tell(stream)?,
            END => {
                self.salts.clear();
                stream.write_all(&[DONE])?;
            }
            _ => {}
        }
        Ok(operation == END)
    }

    /// Whether there is room for it.
    fn put(&mut self, site: SiteId, day: Day, salt: Salt, dies: Duration) -> bool {
        let fits = self.salts.len() < SALTS_MAX || self.salts.contains_key(&(site, day));
        if fits {
            self.salts.insert((site, day), (salt, dies));
        }
        fits
    }

    fn tell(&self, stream: &mut UnixStream) -> io::Result<()> {
        let mut answer = Vec::with_capacity(4 + self.salts.len() * RECORD_BYTES);
        answer.extend_from_slice(&u32::try_from(self.salts.len()).unwrap_or(0).to_le_bytes());
        for ((site, day), (salt, _)) in &self.salts {
            super::encode(*site, *day, salt, &mut answer);
        }
        let told = stream.write_all(&answer);
        answer.zeroize();
        told
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const DAY: Day = Day(20_000);
    const SECOND: Duration = Duration::from_secs(1);

    fn salt(n: u8) -> Salt {
        Salt::from_bytes([n; SALT_BYTES])
    }

    #[test]
    fn keeper_destroys_a_salt_at_its_time_and_none_before() {
        let mut held = Held::default();
        held.put(SiteId(1), DAY, salt(1), 5 * SECOND);
        held.put(SiteId(2), DAY, salt(2), 6 * SECOND);
        for (now, left, next) in [(4, 2, Some(5)), (5, 1, Some(6)), (6, 0, None)] {
            held.die(now * SECOND);
            assert_eq!((held.salts.len(), held.next_death()), (left, next.map(|s| s * SECOND)), "{now}");
        }
    }

    #[test]
    fn keeper_takes_salts_up_to_its_limit_and_no_more() {
        let mut held = Held::default();
        for n in 0..SALTS_MAX as u64 {
            // Without memory that is locked, of which there may be less.
            let salt = Salt(Box::new([0; SALT_BYTES]));
            assert!(held.put(SiteId(n), DAY, salt, SECOND));
        }
        assert!(!held.put(SiteId(SALTS_MAX as u64), DAY, salt(1), SECOND));
        assert!(held.put(SiteId(0), DAY, salt(1), SECOND), "in place of one that is there");
    }

    #[test]
    fn keeper_ignores_a_request_that_is_none() {
        let (mut client, mut server) = UnixStream::pair().unwrap();
        let mut held = Held::default();
        held.put(SiteId(1), DAY, salt(1), 5 * SECOND);
        client.write_all(&[b'?'; REQUEST_BYTES]).unwrap();
        assert!(!held.answer(&mut server, SECOND).unwrap());
        client.write_all(b"p").unwrap();
        drop(client);
        assert!(held.answer(&mut server, SECOND).is_err(), "cut off");
        assert_eq!(held.salts.len(), 1);
    }
}
