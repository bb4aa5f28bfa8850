//! Recovers the log after a crash.

use std::{
    collections::BTreeMap,
    io,
    path::{Path, PathBuf},
};

use super::{
    OpenError, Settings,
    cursor::State,
    damage::Gap,
    disk::{Disk, DiskFile},
    segment::{self, SECTOR_BYTES, Segment, Walk},
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
    /// Records that cannot be read, and where they should be.
    pub(super) gaps: Vec<Gap>,
}

/// Repairs the directory. `cursor` must be durable.
///
/// # Errors
/// When files are missing, or the disk fails.
pub(super) fn recover<D: Disk>(
    disk: &D,
    settings: &Settings,
    cursor: State,
) -> Result<Recovered<D::File>, OpenError> {
    let dir = &settings.dir;
    let firsts = prepare(disk, dir, cursor).map_err(io_error(dir))?;
    let mut log =
        Recovered { segments: BTreeMap::new(), segment: None, durable: cursor.next, gaps: Vec::new() };
    if let Some(first) = firsts.first().filter(|first| **first > cursor.next) {
        return Err(OpenError::Gap { path: segment::path(dir, *first) });
    }
    for (i, first) in firsts.iter().enumerate() {
        let path = segment::path(dir, *first);
        let walk = Walk::open(disk, dir, *first).map_err(io_error(&path))?;
        match (walk, firsts.get(i + 1)) {
            (Some(mut walk), Some(follows)) => {
                // Records beyond this were abandoned after a failed sync: they were not acknowledged.
                walk_to(&mut walk, &path, *follows, &mut log.gaps).map_err(io_error(&path))?;
                let bytes = disk.open(&path).and_then(|file| file.len()).map_err(io_error(&path))?;
                log.segments.insert(*first, Kept { bytes, end: Some(*follows) });
            }
            (None, Some(follows)) => {
                let path = put_away(disk, dir, *first).map_err(io_error(&path))?;
                log.gaps.push(Gap { path, offset: 0, records: *first..*follows });
            }
            (None, None) => {
                log.durable = *first;
                if was_never_synced(disk, &path).map_err(io_error(&path))? {
                    disk.remove(&path).map_err(io_error(&path))?;
                } else {
                    let path = put_away(disk, dir, *first).map_err(io_error(&path))?;
                    log.gaps.push(Gap { path, offset: 0, records: *first..*first });
                }
            }
            (Some(mut walk), None) => {
                walk_on(&mut walk, &path, &mut log.gaps).map_err(io_error(&path))?;
                log.durable = walk.next;
                // What was sealed had been acknowledged, whatever is left of it: see below.
                if cursor.sealed_end.is_none_or(|end| end <= walk.next) {
                    let (offset, next) = (walk.at, walk.next);
                    let damaged = walk.damaged_at_end().map_err(io_error(&path))?;
                    if damaged > 0 {
                        log.gaps.push(Gap { path: path.clone(), offset, records: next..next + damaged });
                    }
                }
                reopen(disk, settings, walk, &mut log).map_err(io_error(&path))?;
            }
        }
    }
    if let Some(end) = cursor.sealed_end.filter(|end| *end > log.durable) {
        // That they were sealed tells that they had been acknowledged: this is no torn tail.
        let (first, _) =
            log.segments.last_key_value().ok_or(OpenError::Lost { from: log.durable, to: end })?;
        let (path, offset) = (segment::path(dir, *first), log.segment.as_ref().map_or(0, |s| s.end));
        log.gaps.push(Gap { path, offset, records: log.durable..end });
        continue_at(&mut log, end);
    }
    if log.durable < cursor.next {
        // Only shipped records are missing: continue with numbers that no token has used.
        continue_at(&mut log, cursor.next);
    }
    log.gaps.retain(|gap| gap.records.end > cursor.next || gap.records.is_empty());
    Ok(log)
}

/// Leaves the last segment as it is: the next record gets the number `next`, and a segment of its own.
fn continue_at<F>(log: &mut Recovered<F>, next: u64) {
    log.segment = None;
    log.durable = next;
    if let Some(mut last) = log.segments.last_entry() {
        last.get_mut().end = Some(next);
    }
}

/// Walks to record `end`, over damage.
pub(super) fn walk_to<F: DiskFile>(
    walk: &mut Walk<F>,
    path: &Path,
    end: u64,
    gaps: &mut Vec<Gap>,
) -> io::Result<()> {
    while walk.next < end {
        let (expected, offset) = (walk.next, walk.at);
        let found = walk.readable(end)?.map_or(end, |(sequence, _)| sequence);
        if found > expected {
            gaps.push(Gap { path: path.to_owned(), offset, records: expected..found });
        }
    }
    Ok(())
}

/// Walks to the last whole frame, over damage: a frame behind it tells that it is no torn tail.
pub(super) fn walk_on<F: DiskFile>(walk: &mut Walk<F>, path: &Path, gaps: &mut Vec<Gap>) -> io::Result<()> {
    walk.finish()?;
    loop {
        let (expected, offset) = (walk.next, walk.at);
        if !walk.pass(u64::MAX)? {
            return Ok(());
        }
        gaps.push(Gap { path: path.to_owned(), offset, records: expected..walk.next });
        walk.finish()?;
    }
}

/// Gives a segment whose header cannot be read another name, so that an operator can look at it.
fn put_away<D: Disk>(disk: &D, dir: &Path, first: u64) -> io::Result<PathBuf> {
    let away = segment::unreadable(dir, first);
    disk.rename(&segment::path(dir, first), &away)?;
    disk.sync_dir(dir)?;
    Ok(away)
}

/// Whether a crash came before the first sync of the file, so that nothing in it was acknowledged: a part of its header
/// is missing, or a sector of it was not written.
fn was_never_synced<D: Disk>(disk: &D, path: &Path) -> io::Result<bool> {
    let mut start = vec![0; segment::HEADER_BYTES_MAX];
    let filled = disk.open(path)?.fill_at(&mut start, 0)?;
    let len = segment::header_len(&start).min(segment::HEADER_BYTES_MAX);
    Ok(filled < len || start[..len].chunks(SECTOR_BYTES).any(|sector| sector.iter().all(|byte| *byte == 0)))
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
    let torn = file.len()?.saturating_sub(end);
    if torn > 0 {
        tracing::warn!(
            segment = header.first,
            at = end,
            bytes = torn,
            "the spool ends with bytes that are no whole record, as after a crash; they are cut off"
        );
        file.set_len(end)?;
    }
    // A header that was put right is so on the disk, too.
    file.write_all_at(&header.encode(), 0)?;
    let mut buffer = vec![0; COPY_BYTES];
    let mut at = header.len();
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
