//! Recovers the log after a crash.

use std::{collections::BTreeMap, io, path::Path};

use super::{
    OpenError, Settings,
    cursor::State,
    disk::{Disk, DiskFile},
    segment::{self, Segment, Walk},
    shared::Kept,
};

/// How many bytes of a segment are written again at a time.
const COPY_BYTES: usize = 1 << 20;

/// The log as it can be relied on.
pub(super) struct Recovered<F> {
    pub(super) segments: BTreeMap<u64, Kept>,
    /// The last segment, if it can be appended to.
    pub(super) segment: Option<Segment<F>>,
    /// Sequence number after the last durable record.
    pub(super) durable: u64,
}

/// Repairs the directory. `cursor` must be durable.
///
/// # Errors
/// When acknowledged records are missing or damaged, or the disk fails.
pub(super) fn recover<D: Disk>(
    disk: &D,
    settings: &Settings,
    cursor: State,
) -> Result<Recovered<D::File>, OpenError> {
    let dir = &settings.dir;
    let firsts = prepare(disk, dir, cursor).map_err(io_error(dir))?;
    let mut log = Recovered { segments: BTreeMap::new(), segment: None, durable: cursor.next };
    if let Some(first) = firsts.first().filter(|first| **first > cursor.next) {
        return Err(OpenError::Gap { path: segment::path(dir, *first) });
    }
    for (i, first) in firsts.iter().enumerate() {
        let path = segment::path(dir, *first);
        let walk = walked(disk, &path).map_err(io_error(&path))?;
        match (walk, firsts.get(i + 1)) {
            (Some(walk), Some(follows)) if walk.next >= *follows => {
                // Records beyond this were abandoned after a failed sync: they were not acknowledged.
                let bytes = disk.open(&path).and_then(|file| file.len()).map_err(io_error(&path))?;
                log.segments.insert(*first, Kept { bytes, end: Some(*follows) });
            }
            (walk, Some(_)) => {
                return Err(OpenError::Damaged { path, offset: walk.map_or(0, |w| w.at) });
            }
            // A crash before the first sync of the file: nothing in it was acknowledged.
            (None, None) => {
                disk.remove(&path).map_err(io_error(&path))?;
                log.durable = *first;
            }
            (Some(walk), None) => {
                log.durable = walk.next;
                reopen(disk, settings, walk, &mut log).map_err(io_error(&path))?;
            }
        }
    }
    if let Some(end) = cursor.sealed_end.filter(|end| *end > log.durable) {
        return Err(OpenError::Lost { from: log.durable, to: end });
    }
    if log.durable < cursor.next {
        // Only shipped records are missing: continue with numbers that no token has used.
        log.segment = None;
        log.durable = cursor.next;
        log.segments.values_mut().for_each(|kept| kept.end = Some(cursor.next));
    }
    Ok(log)
}

fn io_error(path: &Path) -> impl FnOnce(io::Error) -> OpenError {
    let path = path.to_owned();
    move |source| OpenError::Io { path, source }
}

/// The segments that hold what is not shipped. Of those before them, some may have come back after a crash.
fn prepare<D: Disk>(disk: &D, dir: &Path, cursor: State) -> io::Result<Vec<u64>> {
    let mut firsts = segment::list(disk, dir)?;
    let held = firsts.iter().rposition(|first| *first <= cursor.next).unwrap_or(0);
    for first in firsts.drain(..held) {
        disk.remove(&segment::path(dir, first))?;
    }
    Ok(firsts)
}

fn walked<D: Disk>(disk: &D, path: &Path) -> io::Result<Option<Walk<D::File>>> {
    let mut walk = Walk::open(disk, path)?;
    if let Some(walk) = &mut walk {
        walk.finish()?;
    }
    Ok(walk)
}

/// Truncates the torn tail and makes the rest durable: pages whose sync failed before the crash are readable
/// but may not be on disk, and a sync alone would not write them. So they are rewritten.
fn reopen<D: Disk>(
    disk: &D,
    settings: &Settings,
    walk: Walk<D::File>,
    log: &mut Recovered<D::File>,
) -> io::Result<()> {
    let (header, end, next) = (walk.header, walk.at, walk.next);
    let file = disk.edit(&segment::path(&settings.dir, header.first))?;
    if file.len()? > end {
        file.set_len(end)?;
    }
    let mut buffer = vec![0; COPY_BYTES];
    let mut at = 0;
    while at < end {
        let filled = file.fill_at(&mut buffer, at)?;
        if filled == 0 {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        file.write_all_at(&buffer[..filled], at)?;
        at += filled as u64;
    }
    file.sync()?;
    let is_open = header.columns == settings.columns && end < settings.segment_bytes;
    if !is_open && next == header.first {
        // It is empty: its replacement gets the same name.
        return disk.remove(&segment::path(&settings.dir, header.first));
    }
    log.segments.insert(header.first, Kept { bytes: end, end: (!is_open).then_some(next) });
    log.segment = is_open.then_some(Segment { file, header, end, next });
    Ok(())
}
