//! One spool for each shard of ClickHouse: a shard that is away keeps only its own sites' hits waiting.
//!
//! **Promises.** A request is acknowledged when all its hits are durable, whatever shards they are for. With one shard
//! there is one spool, where it always was.
//!
//! **Crash.** As each spool's ([`crate::spool`]). Hits of one request that belong to different shards may be durable in
//! part when it was not acknowledged.

use std::path::{Path, PathBuf};

use sotto_schema::db::shard_of;

use crate::spool::{self, Append, AppendError, OpenError, Reader, Spool};

/// The spools of all shards; clones share them.
#[derive(Debug, Clone)]
pub struct Spools {
    first: Spool,
    rest: Vec<Spool>,
}

/// What is appended together, by shard.
#[derive(Debug, Default)]
pub struct Appends {
    first: Append,
    rest: Vec<Append>,
}

/// Where the spool of a shard lies below the data directory, shards counted from 0.
pub fn directory(data: &Path, shard: usize) -> PathBuf {
    match shard {
        0 => data.join("spool"),
        _ => data.join(format!("spool-{}", shard + 1)),
    }
}

/// Directories of spools of shards that are no more: `shards` are left.
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
) -> Result<(Spools, Vec<Reader>), OpenError> {
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
    Ok((Spools { first, rest: spools }, readers))
}

impl From<Spool> for Spools {
    fn from(first: Spool) -> Self {
        Self { first, rest: Vec::new() }
    }
}

impl Spools {
    /// Nothing to append yet, with room for each shard.
    pub fn appends(&self) -> Appends {
        let rest = self.rest.iter().map(|_| Append::default()).collect();
        Appends { first: Append::default(), rest }
    }

    /// Appends records; resolves when all are on disk.
    ///
    /// # Errors
    /// See [`AppendError`]: of the first spool that refuses.
    pub async fn append(&self, appends: Appends) -> Result<(), AppendError> {
        let first = self.first.append(appends.first);
        if self.rest.is_empty() {
            return first.await;
        }
        let rest = self.rest.iter().zip(appends.rest).map(|(spool, append)| spool.append(append));
        let (first, rest) = futures_util::future::join(first, futures_util::future::join_all(rest)).await;
        first.and(rest.into_iter().collect())
    }

    /// Bytes of all segments on disk.
    pub fn disk_bytes(&self) -> u64 {
        self.all().map(Spool::disk_bytes).sum()
    }

    /// How many records were ever made durable.
    pub fn durable(&self) -> u64 {
        self.all().map(|spool| spool.durable() - 1).sum()
    }

    /// Whether the last append to one of them could not be written.
    pub fn is_failing(&self) -> bool {
        self.all().any(Spool::is_failing)
    }

    fn all(&self) -> impl Iterator<Item = &Spool> {
        std::iter::once(&self.first).chain(&self.rest)
    }
}

impl Appends {
    /// Where the records of a site go.
    pub fn of_site(&mut self, site: u64) -> &mut Append {
        match shard_of(site, self.rest.len() + 1) {
            0 => &mut self.first,
            shard => &mut self.rest[shard - 1],
        }
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
            assert!(
                appends.of_site(site).record(|out| out.extend_from_slice(format!("[{site}]").as_bytes()))
            );
        }
        assert_eq!(appends.len(), 5);
        spools.append(appends).await.unwrap();
        assert_eq!(spools.durable(), 5);
        drop((spools, readers));
        let (_spools, mut readers) = open(data.path(), 3, &settings(1 << 20)).unwrap();
        assert_eq!(texts(&mut readers), ["[6][12]", "[14][9]", "[17]"]);
    }

    #[tokio::test]
    async fn spool_that_is_full_refuses_only_the_sites_of_its_shard() {
        let data = tempfile::tempdir().unwrap();
        let (spools, _readers) = open(data.path(), 2, &settings(12_000)).unwrap();
        let send = async |site: u64| {
            let mut appends = spools.appends();
            assert!(appends.of_site(site).record(|out| out.resize(500, 1)));
            spools.append(appends).await
        };
        while send(3).await.is_ok() {}
        assert_eq!(send(3).await, Err(AppendError::Full));
        assert_eq!(send(5).await, Ok(()));
    }

    #[test]
    fn spools_of_shards_that_are_no_more_are_found() {
        let data = tempfile::tempdir().unwrap();
        open(data.path(), 3, &settings(1 << 20)).unwrap();
        assert_eq!(left_over(data.path(), 3), Vec::<PathBuf>::new());
        assert_eq!(left_over(data.path(), 1), [data.path().join("spool-2"), data.path().join("spool-3")]);
    }
}
