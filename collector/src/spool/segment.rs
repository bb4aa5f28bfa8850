//! The format of a segment, and what is left of it after a crash.

use std::{
    fs::{self, File, OpenOptions},
    io::{self, Read},
    os::unix::fs::FileExt,
    path::{Path, PathBuf},
};

use super::{OpenError, Settings};

/// The longest record.
pub const RECORD_BYTES_MAX: usize = 256 * 1024;
const MAGIC: &[u8; 8] = b"SOTSPOOL";
const VERSION: u32 = 1;
const FIXED_HEADER: usize = 32;
const FRAME_HEADER: usize = 8;

/// The part of a segment before the first frame.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Header {
    pub(super) first: u64,
    pub(super) salt: u64,
    pub(super) columns: String,
}

impl Header {
    /// Its length in bytes.
    pub(super) fn len(&self) -> u64 {
        (FIXED_HEADER + self.columns.len() + 4) as u64
    }

    fn encode(&self) -> Vec<u8> {
        let mut out = Vec::with_capacity(FIXED_HEADER + self.columns.len() + 4);
        out.extend_from_slice(MAGIC);
        out.extend_from_slice(&VERSION.to_le_bytes());
        out.extend_from_slice(&(self.columns.len() as u32).to_le_bytes());
        out.extend_from_slice(&self.first.to_le_bytes());
        out.extend_from_slice(&self.salt.to_le_bytes());
        out.extend_from_slice(self.columns.as_bytes());
        out.extend_from_slice(&crc32c::crc32c(&out).to_le_bytes());
        out
    }

    /// Reads a header; `None` if it is not whole.
    fn decode(bytes: &[u8]) -> Option<Self> {
        let fixed = bytes.get(..FIXED_HEADER)?;
        let columns_len = u32_at(fixed, 12)? as usize;
        let end = FIXED_HEADER.checked_add(columns_len)?;
        let crc = u32_at(bytes, end)?;
        let intact =
            &fixed[..8] == MAGIC && u32_at(fixed, 8)? == VERSION && crc == crc32c::crc32c(bytes.get(..end)?);
        intact.then(|| {
            Some(Self {
                first: u64_at(fixed, 16)?,
                salt: u64_at(fixed, 24)?,
                columns: String::from_utf8(bytes[FIXED_HEADER..end].to_vec()).ok()?,
            })
        })?
    }

    /// Reads the header of an open segment; `None` if it is not whole.
    pub(super) fn read(file: &File) -> io::Result<Option<Self>> {
        let mut fixed = [0u8; FIXED_HEADER];
        match file.read_exact_at(&mut fixed, 0) {
            Ok(()) => {}
            Err(e) if e.kind() == io::ErrorKind::UnexpectedEof => return Ok(None),
            Err(e) => return Err(e),
        }
        let columns_len = u32_at(&fixed, 12).map_or(0, |n| n as usize);
        if columns_len > RECORD_BYTES_MAX {
            return Ok(None);
        }
        let mut bytes = vec![0u8; FIXED_HEADER + columns_len + 4];
        match file.read_exact_at(&mut bytes, 0) {
            Ok(()) => Ok(Self::decode(&bytes)),
            Err(e) if e.kind() == io::ErrorKind::UnexpectedEof => Ok(None),
            Err(e) => Err(e),
        }
    }
}

fn u32_at(bytes: &[u8], at: usize) -> Option<u32> {
    Some(u32::from_le_bytes(bytes.get(at..at + 4)?.try_into().ok()?))
}

fn u64_at(bytes: &[u8], at: usize) -> Option<u64> {
    Some(u64::from_le_bytes(bytes.get(at..at + 8)?.try_into().ok()?))
}

fn crc(salt: u64, sequence: u64, payload: &[u8]) -> u32 {
    let crc = crc32c::crc32c(&salt.to_le_bytes());
    let crc = crc32c::crc32c_append(crc, &sequence.to_le_bytes());
    crc32c::crc32c_append(crc, payload)
}

/// Appends a frame to `out`.
pub(super) fn encode_frame(salt: u64, sequence: u64, payload: &[u8], out: &mut Vec<u8>) {
    out.extend_from_slice(&(payload.len() as u32).to_le_bytes());
    out.extend_from_slice(&crc(salt, sequence, payload).to_le_bytes());
    out.extend_from_slice(payload);
}

/// Reads the frame at the start of `bytes`; `None` if it is not whole.
pub(super) fn decode_frame(salt: u64, sequence: u64, bytes: &[u8]) -> Option<&[u8]> {
    let len = u32_at(bytes, 0)? as usize;
    if !(1..=RECORD_BYTES_MAX).contains(&len) {
        return None;
    }
    let payload = bytes.get(FRAME_HEADER..FRAME_HEADER + len)?;
    (crc(salt, sequence, payload) == u32_at(bytes, 4)?).then_some(payload)
}

/// How many bytes a frame takes on disk.
pub(super) const fn frame_len(payload: usize) -> usize {
    FRAME_HEADER + payload
}

/// The path of the segment that starts at `first`.
pub(super) fn path(dir: &Path, first: u64) -> PathBuf {
    dir.join(format!("{first:020}.seg"))
}

/// The first sequence numbers of all segments, in order.
pub(super) fn list(dir: &Path) -> io::Result<Vec<u64>> {
    let mut firsts = Vec::new();
    for entry in fs::read_dir(dir)? {
        let name = entry?.file_name();
        if let Some(first) = name.to_str().and_then(|n| n.strip_suffix(".seg")).and_then(|n| n.parse().ok()) {
            firsts.push(first);
        }
    }
    firsts.sort_unstable();
    Ok(firsts)
}

/// Makes a directory's entries durable.
pub(super) fn sync_dir(dir: &Path) -> io::Result<()> {
    File::open(dir)?.sync_all()
}

/// A segment that is being appended to.
#[derive(Debug)]
pub(super) struct Segment {
    pub(super) file: File,
    pub(super) header: Header,
    /// Where the next frame goes.
    pub(super) end: u64,
    /// Sequence number of the next frame.
    pub(super) next: u64,
}

/// Makes an empty segment, durably.
pub(super) fn create(settings: &Settings, first: u64) -> io::Result<Segment> {
    let salt = getrandom::u64().map_err(|e| io::Error::other(e.to_string()))?;
    let header = Header { first, salt, columns: settings.columns.clone() };
    let path = path(&settings.dir, first);
    let file = OpenOptions::new().read(true).write(true).create(true).truncate(true).open(path)?;
    file.write_all_at(&header.encode(), 0)?;
    file.sync_all()?;
    sync_dir(&settings.dir)?;
    let end = header.len();
    Ok(Segment { file, header, end, next: first })
}

/// What reading a segment from its start found.
pub(super) struct Scan {
    pub(super) header: Header,
    /// Where the first frame that is not whole begins, or the end.
    pub(super) end: u64,
    /// Sequence number after the last whole frame.
    pub(super) next: u64,
    /// Bytes follow the last whole frame.
    pub(super) torn: bool,
}

/// Reads all whole frames of a segment; `None` if its header is not whole.
pub(super) fn scan(path: &Path, mut each: impl FnMut(u64, &[u8])) -> io::Result<Option<Scan>> {
    let mut bytes = Vec::new();
    File::open(path)?.read_to_end(&mut bytes)?;
    let Some(header) = Header::decode(&bytes) else { return Ok(None) };
    let mut end = header.len() as usize;
    let mut next = header.first;
    while let Some(payload) = decode_frame(header.salt, next, &bytes[end..]) {
        each(next, payload);
        end += frame_len(payload.len());
        next += 1;
    }
    Ok(Some(Scan { header, end: end as u64, next, torn: end < bytes.len() }))
}

/// Brings the directory into order after whatever happened, and opens the last segment.
pub(super) fn recover(settings: &Settings) -> Result<Segment, OpenError> {
    let dir = &settings.dir;
    let io_error = |path: &Path| {
        let path = path.to_owned();
        move |source| OpenError::Io { path, source }
    };
    fs::create_dir_all(dir).map_err(io_error(dir))?;
    let firsts = list(dir).map_err(io_error(dir))?;
    let mut expected = None;
    for (i, first) in firsts.iter().enumerate() {
        let path = path(dir, *first);
        let last = i + 1 == firsts.len();
        if expected.is_some_and(|e| e != *first) {
            return Err(OpenError::Gap { path });
        }
        let scan = scan(&path, |_, _| ()).map_err(io_error(&path))?;
        match scan {
            // A crash between making the file and syncing its header; nothing in it was acknowledged.
            None if last => {
                fs::remove_file(&path).map_err(io_error(&path))?;
                return create(settings, *first).map_err(io_error(&path));
            }
            None => return Err(OpenError::Damaged { path, offset: 0 }),
            Some(scan) if last => return reopen(settings, &path, scan).map_err(io_error(&path)),
            Some(scan) => {
                // A segment whose sync failed was given up: it may have a torn end, and the next one begins
                // at what was acknowledged. Anything less is damage.
                let follows = firsts[i + 1];
                if scan.next < follows {
                    return Err(OpenError::Damaged { path, offset: scan.end });
                }
                expected = Some(follows);
            }
        }
    }
    create(settings, 1).map_err(io_error(dir))
}

/// Cuts the torn tail durably before anything is appended, and goes on behind it.
fn reopen(settings: &Settings, path: &Path, scan: Scan) -> io::Result<Segment> {
    let file = OpenOptions::new().read(true).write(true).open(path)?;
    if scan.torn {
        file.set_len(scan.end)?;
        file.sync_all()?;
    }
    if scan.header.columns != settings.columns && scan.next > scan.header.first {
        return create(settings, scan.next);
    }
    if scan.header.columns != settings.columns {
        return create(settings, scan.header.first);
    }
    Ok(Segment { file, header: scan.header, end: scan.end, next: scan.next })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn settings(dir: &Path) -> Settings {
        Settings { dir: dir.into(), segment_bytes: 1 << 20, bytes_max: 1 << 30, columns: "a, b".into() }
    }

    fn write(settings: &Settings, count: u64) -> Segment {
        let mut segment = recover(settings).unwrap();
        for i in 0..count {
            let mut frame = Vec::new();
            encode_frame(segment.header.salt, segment.next, format!("record {i}").as_bytes(), &mut frame);
            segment.file.write_all_at(&frame, segment.end).unwrap();
            segment.end += frame.len() as u64;
            segment.next += 1;
        }
        segment
    }

    #[test]
    fn segment_with_torn_tail_loses_only_the_torn_record() {
        let dir = tempfile::tempdir().unwrap();
        let settings = settings(dir.path());
        let written = write(&settings, 5);
        let whole = fs::read(path(dir.path(), 1)).unwrap();
        for cut in written.header.len()..=written.end {
            for garbage in [&[][..], &[0xa5; 37], &[0; 64]] {
                let bytes = [&whole[..cut as usize], garbage].concat();
                fs::write(path(dir.path(), 1), bytes).unwrap();
                let kept = recover(&settings).unwrap().next;
                let mut expected = 1;
                scan(&path(dir.path(), 1), |sequence, payload| {
                    assert_eq!(sequence, expected);
                    assert_eq!(payload, format!("record {}", sequence - 1).as_bytes());
                    expected += 1;
                })
                .unwrap();
                assert_eq!(kept, expected, "cut at {cut}");
                assert!(fs::metadata(path(dir.path(), 1)).unwrap().len() <= cut, "cut at {cut}");
            }
        }
    }

    #[test]
    fn last_segment_with_torn_header_is_made_again() {
        let dir = tempfile::tempdir().unwrap();
        let settings = settings(dir.path());
        drop(write(&settings, 3));
        drop(create(&settings, 4).unwrap());
        let second = path(dir.path(), 4);
        let header = fs::read(&second).unwrap();
        for cut in 0..header.len() {
            fs::write(&second, &header[..cut]).unwrap();
            assert_eq!(recover(&settings).unwrap().next, 4, "cut at {cut}");
        }
    }

    #[test]
    fn damage_before_the_last_segment_stops_the_start() {
        let dir = tempfile::tempdir().unwrap();
        let settings = settings(dir.path());
        drop(write(&settings, 3));
        drop(create(&settings, 4).unwrap());
        let first = path(dir.path(), 1);
        let mut bytes = fs::read(&first).unwrap();
        let middle = bytes.len() - 20;
        bytes[middle] ^= 1;
        fs::write(&first, bytes).unwrap();
        assert!(matches!(recover(&settings), Err(OpenError::Damaged { .. })));
    }

    #[test]
    fn missing_segment_stops_the_start() {
        let dir = tempfile::tempdir().unwrap();
        let settings = settings(dir.path());
        drop(write(&settings, 3));
        drop(create(&settings, 4).unwrap());
        drop(create(&settings, 9).unwrap());
        assert!(matches!(recover(&settings), Err(OpenError::Damaged { .. } | OpenError::Gap { .. })));
    }

    #[test]
    fn other_columns_begin_another_segment() {
        let dir = tempfile::tempdir().unwrap();
        drop(write(&settings(dir.path()), 3));
        let newer = Settings { columns: "a, b, c".into(), ..settings(dir.path()) };
        let segment = recover(&newer).unwrap();
        assert_eq!((segment.header.first, segment.header.columns.as_str()), (4, "a, b, c"));
        assert_eq!(list(dir.path()).unwrap(), [1, 4]);
    }

    proptest::proptest! {
        #[test]
        fn any_bytes_never_panic(bytes in proptest::collection::vec(proptest::prelude::any::<u8>(), 0..200)) {
            if Header::decode(&bytes).is_some() {
                assert!(bytes.len() > FIXED_HEADER);
            }
            assert_eq!(decode_frame(1, 1, &bytes), None);
        }
    }
}
