//! One spool per ClickHouse shard: an unreachable shard holds up only its own sites' hits.
//!
//! **Promises.** A request is acknowledged when all its hits are durable, whatever shards they are for. With one shard
//! there is one spool, where it always was.
//!
//! **Crash.** As for each spool ([`crate::spool`]). If a request was not acknowledged, its hits for different
//! shards may be partly durable.

use std::{
    io,
    path::{Path, PathBuf},
    time::Duration,
};

use sotto_schema::id::SiteId;
use sotto_store::db::shard_of;

use crate::spool::{
    self, Append, AppendError, Aside, Damage, Key, OpenError, Reader, Repeats, Spool, Ticket,
};

/// The spools of all shards; clones share them.
#[derive(Debug, Clone)]
pub struct ShardedSpool {
    first: Spool,
    rest: Vec<Spool>,
}

/// What is appended together, by shard.
#[derive(Debug, Default)]
pub struct ShardedAppend {
    first: Append,
    rest: Vec<Append>,
}

/// A record among those that are appended together.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ShardTicket {
    shard: usize,
    ticket: Ticket,
}

/// Which of the records appended together were already durable and so not kept twice.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct ShardRepeats {
    first: Repeats,
    rest: Vec<Repeats>,
}

impl ShardRepeats {
    /// No record was.
    pub const NONE: Self = Self { first: Repeats::NONE, rest: Vec::new() };

    /// Whether this record was.
    pub fn contains(&self, ShardTicket { shard, ticket }: ShardTicket) -> bool {
        match shard.checked_sub(1) {
            None => self.first.contains(ticket),
            Some(rest) => self.rest.get(rest).is_some_and(|repeats| repeats.contains(ticket)),
        }
    }
}

/// Where the spool of a shard lies below the data directory, shards counted from 0.
pub fn directory(data: &Path, shard: usize) -> PathBuf {
    match shard {
        0 => data.join("spool"),
        _ => data.join(format!("spool-{}", shard + 1)),
    }
}

/// Spool directories of shards that no longer exist, given `shards` remaining ones.
pub fn left_over(data: &Path, shards: usize) -> Vec<PathBuf> {
    (shards..).map(|shard| directory(data, shard)).take_while(|dir| dir.exists()).collect()
}

/// Opens the spools of `shards` shards (at least one); all of them may take `settings.bytes_max` together.
///
/// # Errors
/// See [`OpenError`].
pub fn open(
    data: &Path,
    shards: usize,
    settings: &spool::Settings,
) -> Result<(ShardedSpool, Vec<Reader>), OpenError> {
    let (mut spools, mut readers) = (Vec::new(), Vec::new());
    let bytes_max = settings.bytes_max / shards.max(1) as u64;
    let open = |shard| {
        let dir = directory(data, shard);
        spool::open(spool::Settings { dir, bytes_max, ..settings.clone() })
    };
    let (first, reader) = open(0)?;
    readers.push(reader);
    for shard in 1..shards {
        let (spool, reader) = open(shard)?;
        spools.push(spool);
        readers.push(reader);
    }
    Ok((ShardedSpool { first, rest: spools }, readers))
}

impl From<Spool> for ShardedSpool {
    fn from(first: Spool) -> Self {
        Self { first, rest: Vec::new() }
    }
}

impl ShardedSpool {
    /// An empty append with room for each shard.
    pub fn appends(&self) -> ShardedAppend {
        let rest = self.rest.iter().map(|_| Append::default()).collect();
        ShardedAppend { first: Append::default(), rest }
    }

    /// Appends records; resolves when all are on disk, with those that were already durable.
    ///
    /// # Errors
    /// See [`AppendError`]: of the first spool that refuses.
    pub async fn append(&self, appends: ShardedAppend) -> Result<ShardRepeats, AppendError> {
        let first = self.first.append(appends.first);
        if self.rest.is_empty() {
            return Ok(ShardRepeats { first: first.await?, rest: Vec::new() });
        }
        let rest = self.rest.iter().zip(appends.rest).map(|(spool, append)| spool.append(append));
        let (first, rest) = futures_util::future::join(first, futures_util::future::join_all(rest)).await;
        Ok(ShardRepeats { first: first?, rest: rest.into_iter().collect::<Result<_, _>>()? })
    }

    /// Takes over keys of records that were durable before a restart: each spool those of its own sites.
    pub fn remember(&self, keys: Vec<Key>) {
        let shards = self.rest.len() + 1;
        let mut by_shard: Vec<Vec<Key>> = vec![Vec::new(); shards];
        for key in keys {
            by_shard[shard_of(key.site, shards)].push(key);
        }
        for (spool, keys) in self.all().zip(by_shard) {
            spool.remember(keys);
        }
    }

    /// Has every spool try whether hits can be kept again.
    pub fn probe(&self) {
        self.all().for_each(Spool::probe);
    }

    /// Removes what is shipped from the disk; tries all spools.
    ///
    /// # Errors
    /// The first error, when a disk fails; nothing is lost, and the next call tries again.
    pub async fn forget_shipped(&self) -> io::Result<()> {
        let forgotten = futures_util::future::join_all(self.all().map(Spool::forget_shipped)).await;
        forgotten.into_iter().collect()
    }

    /// Resolves when one of the writing threads has ended.
    pub async fn ended(&self) {
        futures_util::future::select_all(self.all().map(|spool| Box::pin(spool.ended()))).await;
    }

    /// Bytes of all segments on disk.
    pub fn disk_bytes(&self) -> u64 {
        self.all().map(Spool::disk_bytes).sum()
    }

    /// Whether the last append to one of them was refused.
    pub fn is_failing(&self) -> bool {
        self.all().any(Spool::is_failing)
    }

    /// Bytes at which appends are refused, of all together.
    pub fn bytes_max(&self) -> u64 {
        self.all().map(Spool::bytes_max).sum()
    }

    /// How many durable records are not shipped.
    pub fn waiting(&self) -> u64 {
        self.all().map(Spool::waiting).sum()
    }

    /// How long the one that waits longest has waited.
    pub fn oldest(&self) -> Option<Duration> {
        self.all().filter_map(Spool::oldest).max()
    }

    /// What was set aside, as of the last look.
    pub fn set_aside(&self) -> Aside {
        self.all().map(Spool::set_aside).fold(Aside::default(), |sum, aside| Aside {
            bytes: sum.bytes + aside.bytes,
            batches: sum.batches + aside.batches,
            records: sum.records + aside.records,
        })
    }

    /// What could not be read since the start.
    pub fn damage(&self) -> Damage {
        self.all().map(Spool::damage).fold(Damage::default(), |sum, damage| Damage {
            places: sum.places + damage.places,
            records: sum.records + damage.records,
        })
    }

    /// The spool in which the hits of a site are.
    pub fn of_site(&self, site: SiteId) -> &Spool {
        match shard_of(site, self.rest.len() + 1) {
            0 => &self.first,
            shard => &self.rest[shard - 1],
        }
    }

    /// All of them, in the order of their shards.
    pub fn all(&self) -> impl Iterator<Item = &Spool> {
        std::iter::once(&self.first).chain(&self.rest)
    }
}

impl ShardedAppend {
    /// Adds a record of a site; see [`Append::record`].
    pub fn record(
        &mut self,
        site: SiteId,
        key: Option<Key>,
        encode: impl FnOnce(&mut Vec<u8>),
    ) -> Option<ShardTicket> {
        let shard = shard_of(site, self.rest.len() + 1);
        let append = if shard == 0 { &mut self.first } else { &mut self.rest[shard - 1] };
        append.record(key, encode).map(|ticket| ShardTicket { shard, ticket })
    }

    /// Adds all records of another; both must be of the same spools.
    pub fn extend(&mut self, other: &Self) {
        self.first.extend(&other.first);
        for (append, other) in self.rest.iter_mut().zip(&other.rest) {
            append.extend(other);
        }
    }

    /// How many records there are.
    pub fn len(&self) -> usize {
        self.first.len() + self.rest.iter().map(Append::len).sum::<usize>()
    }

    /// How many bytes of all segments the records take.
    pub fn disk_bytes(&self) -> u64 {
        self.first.disk_bytes() + self.rest.iter().map(Append::disk_bytes).sum::<u64>()
    }

    /// Whether there is nothing to append.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use sotto_schema::id::ViewId;

    fn settings(bytes_max: u64) -> spool::Settings {
        spool::Settings { dir: PathBuf::new(), segment_bytes: 2_000, bytes_max, columns: "x".into() }
    }

    fn texts(readers: &mut [Reader]) -> Vec<String> {
        let text = |reader: &mut Reader| {
            let batch = reader.seal(100, 10_000).unwrap();
            batch.map_or(String::new(), |b| String::from_utf8(b.rows.to_vec()).unwrap())
        };
        readers.iter_mut().map(text).collect()
    }

    #[tokio::test]
    async fn records_lie_in_the_spool_of_their_sites_shard_also_after_a_restart() {
        let data = tempfile::tempdir().unwrap();
        let (spools, readers) = open(data.path(), 3, &settings(1 << 20)).unwrap();
        let mut appends = spools.appends();
        for site in [6, 14, 9, 17, 12u64] {
            let text = format!("[{site}]");
            assert!(
                appends.record(SiteId(site), None, |out| out.extend_from_slice(text.as_bytes())).is_some()
            );
        }
        assert_eq!(appends.len(), 5);
        spools.append(appends).await.unwrap();
        assert_eq!(spools.waiting(), 5);
        drop((spools, readers));
        let (_spools, mut readers) = open(data.path(), 3, &settings(1 << 20)).unwrap();
        assert_eq!(texts(&mut readers), ["[6][12]", "[14][9]", "[17]"]);
    }

    #[tokio::test]
    async fn spool_that_is_full_refuses_only_the_sites_of_its_shard() {
        let data = tempfile::tempdir().unwrap();
        let (spools, _readers) = open(data.path(), 2, &settings(12_000)).unwrap();
        let send = async |site: SiteId| {
            let mut appends = spools.appends();
            assert!(appends.record(site, None, |out| out.resize(500, 1)).is_some());
            spools.append(appends).await
        };
        while send(SiteId(3)).await.is_ok() {}
        assert_eq!(send(SiteId(3)).await, Err(AppendError::Full));
        send(SiteId(5)).await.unwrap();
    }

    #[tokio::test]
    async fn ticket_tells_whether_its_record_is_a_repeat_whatever_shard_it_is_on() {
        let data = tempfile::tempdir().unwrap();
        let (spools, _readers) = open(data.path(), 3, &settings(1 << 20)).unwrap();
        let key = |site| Key { site, view: ViewId(1), seq: 0 };
        let repeated = async |sites: &[u64]| {
            let mut appends = spools.appends();
            let mut tickets = Vec::new();
            for site in sites.iter().copied().map(SiteId) {
                tickets.push(appends.record(site, Some(key(site)), |out| out.push(1)).unwrap());
            }
            let repeats = spools.append(appends).await.unwrap();
            tickets.into_iter().map(|ticket| repeats.contains(ticket)).collect::<Vec<_>>()
        };
        // Shards 1, 0, 2, 1, 0.
        let sites = [9, 6, 17, 3, 13];
        assert_eq!(repeated(&sites[1..3]).await, [false; 2]);
        spools.remember(vec![key(SiteId(3))]);
        assert_eq!(repeated(&sites).await, [false, true, true, true, false]);
        assert_eq!(repeated(&sites).await, [true; 5]);
        assert_eq!(spools.waiting(), 4);
        assert!(spools.oldest().is_some());
        assert_eq!(spools.of_site(SiteId(17)).waiting(), 1);
    }

    #[test]
    fn spools_of_shards_that_are_no_more_are_found() {
        let data = tempfile::tempdir().unwrap();
        open(data.path(), 3, &settings(1 << 20)).unwrap();
        assert_eq!(left_over(data.path(), 3), Vec::<PathBuf>::new());
        assert_eq!(left_over(data.path(), 1), [data.path().join("spool-2"), data.path().join("spool-3")]);
    }
}
