//! The segment format: a header written once, frames appended, read sequentially.

use std::{
    io,
    path::{Path, PathBuf},
};

use super::{
    damage,
    disk::{Disk, DiskFile},
    frame::{FRAME_HEADER, RECORD_BYTES_MAX, decode_frame, frame_len, framed, u32_at, u64_at},
};

const MAGIC: &[u8; 8] = b"SOTSPOOL";
const VERSION: u32 = 1;
const UNREADABLE: &str = "unreadable";
const FIXED_HEADER: usize = 32;
/// What a disk writes at once.
pub(super) const SECTOR_BYTES: usize = 512;
/// How many bytes are read from the disk at a time: any frame fits.
const READ_BYTES: usize = RECORD_BYTES_MAX * 4;
/// The longest frame.
const FRAME_BYTES_MAX: usize = frame_len(RECORD_BYTES_MAX);
/// No header is longer: the columns' names have a few hundred bytes.
pub(super) const HEADER_BYTES_MAX: usize = 64 * 1024;

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

    pub(super) fn encode(&self) -> Vec<u8> {
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

    /// Reads the header of the segment whose name says that it begins at `first`. One damaged byte is put right: the
    /// sum tells which. `None` if more are, or it is not whole.
    fn read(bytes: &[u8], first: u64) -> Option<Self> {
        let of_this_file = |header: &Self| header.first == first;
        if let Some(header) = Self::decode(bytes).filter(of_this_file) {
            return Some(header);
        }
        let mut tried = bytes.to_vec();
        for at in 0..header_len(bytes).min(bytes.len()) {
            for value in 0..=u8::MAX {
                tried[at] = value;
                if let Some(header) = Self::decode(&tried).filter(of_this_file) {
                    return Some(header);
                }
            }
            tried[at] = bytes[at];
        }
        None
    }

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
}

/// How long the header at the start of `bytes` says it is.
pub(super) fn header_len(bytes: &[u8]) -> usize {
    FIXED_HEADER + u32_at(bytes, 12).unwrap_or(0) as usize + 4
}

/// The path of the segment that starts at `first`.
pub(super) fn path(dir: &Path, first: u64) -> PathBuf {
    dir.join(format!("{first:020}.seg"))
}

/// Where a segment goes whose header cannot be read.
pub(super) fn unreadable(dir: &Path, first: u64) -> PathBuf {
    dir.join(format!("{first:020}.{UNREADABLE}"))
}

/// The first sequence numbers of all segments, in order.
pub(super) fn list<D: Disk>(disk: &D, dir: &Path) -> io::Result<Vec<u64>> {
    named(disk, dir, "seg")
}

/// The same of segments whose header cannot be read.
pub(super) fn list_unreadable<D: Disk>(disk: &D, dir: &Path) -> io::Result<Vec<u64>> {
    named(disk, dir, UNREADABLE)
}

fn named<D: Disk>(disk: &D, dir: &Path, ending: &str) -> io::Result<Vec<u64>> {
    let number = |name: &String| name.strip_suffix(ending)?.trim_end_matches('.').parse().ok();
    let mut firsts: Vec<u64> = disk.names(dir)?.iter().filter_map(number).collect();
    firsts.sort_unstable();
    Ok(firsts)
}

/// A segment that is being appended to.
#[derive(Debug)]
pub(super) struct Segment<F> {
    pub(super) file: F,
    pub(super) header: Header,
    /// Where the next frame goes.
    pub(super) end: u64,
    /// Sequence number of the next frame.
    pub(super) next: u64,
}

impl<F: DiskFile> Segment<F> {
    /// Makes an empty segment whose name is durable. Its header becomes so with the first frames.
    pub(super) fn create<D: Disk<File = F>>(
        disk: &D,
        dir: &Path,
        columns: &str,
        first: u64,
    ) -> io::Result<Self> {
        let salt = getrandom::u64().map_err(|e| io::Error::other(e.to_string()))?;
        let header = Header { first, salt, columns: columns.to_owned() };
        let file = disk.create(&path(dir, first))?;
        file.write_all_at(&header.encode(), 0)?;
        disk.sync_dir(dir)?;
        let end = header.len();
        Ok(Self { file, header, end, next: first })
    }
}

/// Reads a segment frame by frame.
#[derive(Debug)]
pub(super) struct Walk<F> {
    file: F,
    pub(super) header: Header,
    /// Sequence number and place of the next frame.
    pub(super) next: u64,
    pub(super) at: u64,
    buffer: Vec<u8>,
    used: usize,
}

impl<F: DiskFile> Walk<F> {
    /// At the first frame of the segment that begins at `first`; `None` if its header cannot be read.
    pub(super) fn open<D: Disk<File = F>>(disk: &D, dir: &Path, first: u64) -> io::Result<Option<Self>> {
        let file = disk.open(&path(dir, first))?;
        let mut buffer = vec![0; READ_BYTES];
        let filled = file.fill_at(&mut buffer, 0)?;
        buffer.truncate(filled);
        Ok(Header::read(&buffer[..filled.min(HEADER_BYTES_MAX)], first).map(|header| {
            let at = header.len();
            Self { file, next: first, at, used: at as usize, buffer, header }
        }))
    }

    /// Walks to the end of the whole frames.
    pub(super) fn finish(&mut self) -> io::Result<()> {
        while self.is_whole()? {
            self.step();
        }
        Ok(())
    }

    /// The next frame below `end` that can be read, and its sequence number: damage before it is passed over.
    /// `None` if there is none; the walk is then at `end`.
    pub(super) fn readable(&mut self, end: u64) -> io::Result<Option<(u64, &[u8])>> {
        let found = self.next < end && (self.is_whole()? || self.pass(end)?);
        if !found {
            self.next = self.next.max(end);
            return Ok(None);
        }
        Ok(Some((self.next, self.step())))
    }

    /// Whether a whole frame follows; it is then in the buffer. Bytes may have been added since the last call.
    fn is_whole(&mut self) -> io::Result<bool> {
        if decode_frame(self.header.salt, self.next, &self.buffer[self.used..]).is_none() {
            self.fill(self.at)?;
        }
        Ok(decode_frame(self.header.salt, self.next, &self.buffer[self.used..]).is_some())
    }

    /// Reads ahead from `at`.
    fn fill(&mut self, at: u64) -> io::Result<()> {
        self.buffer.resize(READ_BYTES, 0);
        let filled = self.file.fill_at(&mut self.buffer, at)?;
        self.buffer.truncate(filled);
        self.used = 0;
        Ok(())
    }

    /// Goes behind the whole frame that follows, and returns its payload.
    fn step(&mut self) -> &[u8] {
        let len = framed(&self.buffer[self.used..]).map_or(0, |(payload, _)| frame_len(payload.len()));
        self.used += len;
        self.at += len as u64;
        self.next += 1;
        &self.buffer[self.used - len + FRAME_HEADER..self.used]
    }

    /// Goes to the first whole frame behind damage whose sequence number is below `end`.
    pub(super) fn pass(&mut self, end: u64) -> io::Result<bool> {
        let len = self.file.len()?;
        let mut from = self.at;
        while from < len {
            self.fill(from)?;
            let is_last = from + self.buffer.len() as u64 >= len;
            // Of what is judged, a frame and the one after it are in the buffer.
            let judged = if is_last { self.buffer.len() } else { self.buffer.len() - 2 * FRAME_BYTES_MAX };
            let skipped = (from - self.at) as usize;
            let lost = damage::Lost { salt: self.header.salt, next: self.next, end, skipped, is_last };
            if let Some((at, sequence)) = lost.find(&self.buffer, judged) {
                (self.used, self.at, self.next) = (at, from + at as u64, sequence);
                return Ok(true);
            }
            from += judged as u64;
        }
        self.rest();
        Ok(false)
    }

    /// Whether bytes follow the whole frames that were walked.
    pub(super) fn is_torn(&self) -> io::Result<bool> {
        Ok(self.file.len()? > self.at)
    }

    /// How many records behind the whole frames are there in full length and cannot be read: a byte of them was changed
    /// after they were written. What a crash tears off is shorter than its length says, or has a sector that was never
    /// written (only zeros).
    pub(super) fn damaged_at_end(&mut self) -> io::Result<u64> {
        self.fill(self.at)?;
        let (mut end, mut frames) = (0, 0);
        while let Some((payload, _)) = framed(&self.buffer[end..]) {
            let frame = &self.buffer[end..end + frame_len(payload.len())];
            if has_unwritten_sector(frame, self.at + end as u64) {
                break;
            }
            (end, frames) = (end + frame.len(), frames + 1);
        }
        let is_whole = self.at + end as u64 == self.file.len()?;
        self.rest();
        // Behind a length that was changed itself, frames are not where they seem to be.
        Ok(if is_whole { frames } else { frames.min(1) })
    }

    /// Releases the read-ahead buffer.
    pub(super) fn rest(&mut self) {
        self.buffer = Vec::new();
        self.used = 0;
    }
}

/// Whether all that lies of `bytes` in one sector of the disk is zero. `at` is where they begin in the file.
fn has_unwritten_sector(bytes: &[u8], at: u64) -> bool {
    let first = SECTOR_BYTES - (at % SECTOR_BYTES as u64) as usize;
    let (head, rest) = bytes.split_at(first.min(bytes.len()));
    std::iter::once(head).chain(rest.chunks(SECTOR_BYTES)).any(|sector| sector.iter().all(|byte| *byte == 0))
}

#[cfg(test)]
mod tests {
    use super::{super::frame::encode_frame, *};

    /// A segment of one record.
    fn segment(payload: &[u8]) -> (Header, Vec<u8>) {
        let header = Header { first: 7, salt: 42, columns: "site, day".into() };
        let mut bytes = header.encode();
        encode_frame(header.salt, header.first, payload, &mut bytes);
        (header, bytes)
    }

    /// What a walk makes of the bytes: the header and the first record.
    fn read(bytes: &[u8]) -> Option<(Header, Vec<u8>)> {
        let header = Header::decode(bytes)?;
        let record = decode_frame(header.salt, header.first, &bytes[header.len() as usize..])?.to_vec();
        Some((header, record))
    }

    #[test]
    fn segment_with_any_bit_changed_or_its_end_cut_off_is_not_read() {
        let (header, bytes) = segment(b"record");
        assert_eq!(read(&bytes), Some((header, b"record".to_vec())));
        for at in 0..bytes.len() {
            assert_eq!(read(&bytes[..at]), None, "cut to {at} bytes");
            for bit in 0..8 {
                let mut changed = bytes.clone();
                changed[at] ^= 1 << bit;
                assert_eq!(read(&changed), None, "bit {bit} of byte {at}");
            }
        }
    }

    #[test]
    fn header_with_one_damaged_byte_is_put_right_and_with_more_it_is_not() {
        let (header, bytes) = segment(b"record");
        for at in 0..header.len() as usize {
            for bits in [1, 0x80, 0xff] {
                let mut changed = bytes.clone();
                changed[at] ^= bits;
                assert_eq!(Header::read(&changed, 7), Some(header.clone()), "byte {at}");
                changed[(at + 1) % header.len() as usize] ^= bits;
                assert_eq!(Header::read(&changed, 7), None, "byte {at} and the next");
            }
        }
        assert_eq!(Header::read(&bytes, 8), None, "of another file");
    }

    #[test]
    fn sector_that_holds_only_zeros_was_never_written() {
        let record = |from: usize, to: usize| {
            let mut bytes = vec![7; 3 * SECTOR_BYTES];
            bytes[from..to].fill(0);
            bytes
        };
        for (at, from, to, unwritten) in [
            (0, 0, SECTOR_BYTES, true),
            (0, 0, SECTOR_BYTES - 1, false),
            (0, 1, SECTOR_BYTES + 1, false),
            (1, 0, SECTOR_BYTES - 1, true),
            (1, SECTOR_BYTES - 1, 2 * SECTOR_BYTES - 1, true),
            (1, 3 * SECTOR_BYTES - 1, 3 * SECTOR_BYTES, true),
            (0, 0, 0, false),
        ] {
            assert_eq!(has_unwritten_sector(&record(from, to), at), unwritten, "{at}: {from} to {to}");
        }
    }

    proptest::proptest! {
        #[test]
        fn any_bytes_never_panic_and_are_no_record(bytes in proptest::collection::vec(proptest::prelude::any::<u8>(), 0..200)) {
            proptest::prop_assert!(Header::read(&bytes, 1).is_none());
            proptest::prop_assert_eq!(decode_frame(1, 1, &bytes), None);
        }
    }
}
