//! Batches whose content ClickHouse refuses: one file each, to be inspected and replayed.
//!
//! Files `aside/<first>-<after the last record, 20 digits each>.batch`:
//!
//! ```text
//! magic "SOTASIDE" | version u32 | three texts, each length u32 and bytes: token, columns, why
//!                  | rows | crc32c of all before u32
//! ```

use std::{
    io,
    path::{Path, PathBuf},
};

use bytes::Bytes;

use super::{
    batch::Batch,
    disk::{Disk, DiskFile},
    frame::u32_at,
};

const MAGIC: &[u8; 8] = b"SOTASIDE";
const VERSION: u32 = 1;

/// A file of a batch that was set aside.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AsideFile {
    /// The file.
    pub path: PathBuf,
    /// Sequence number of its first record.
    pub start: u64,
    /// Sequence number after its last record.
    pub end: u64,
    /// Its size.
    pub bytes: u64,
}

fn place(dir: &Path) -> PathBuf {
    dir.join("aside")
}

/// Writes a batch, durably and whole.
pub(super) fn write<D: Disk>(disk: &D, dir: &Path, batch: &Batch, why: &str) -> io::Result<PathBuf> {
    let mut out = Vec::with_capacity(batch.rows.len() + 1024);
    out.extend_from_slice(MAGIC);
    out.extend_from_slice(&VERSION.to_le_bytes());
    for text in [batch.token.as_str(), &batch.columns, why] {
        out.extend_from_slice(&(text.len() as u32).to_le_bytes());
        out.extend_from_slice(text.as_bytes());
    }
    out.extend_from_slice(&batch.rows);
    out.extend_from_slice(&crc32c::crc32c(&out).to_le_bytes());
    let aside = place(dir);
    disk.make_dir(&aside)?;
    disk.sync_dir(dir)?;
    let path = aside.join(format!("{:020}-{:020}.batch", batch.start, batch.end));
    let new = path.with_extension("new");
    let file = disk.create(&new)?;
    file.write_all_at(&out, 0)?;
    file.sync()?;
    disk.rename(&new, &path)?;
    disk.sync_dir(&aside)?;
    Ok(path)
}

/// All files, in order.
pub(super) fn list<D: Disk>(disk: &D, dir: &Path) -> io::Result<Vec<AsideFile>> {
    let aside = place(dir);
    let names = match disk.names(&aside) {
        Ok(names) => names,
        Err(e) if e.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        Err(e) => return Err(e),
    };
    let mut files = Vec::new();
    for name in names {
        let range = name.strip_suffix(".batch").and_then(|name| name.split_once('-'));
        let range = range.and_then(|(start, end)| Some((start.parse().ok()?, end.parse().ok()?)));
        let Some((start, end)) = range else { continue };
        let path = aside.join(name);
        let bytes = match disk.open(&path) {
            Ok(file) => file.len()?,
            // Replayed a moment ago.
            Err(e) if e.kind() == io::ErrorKind::NotFound => continue,
            Err(e) => return Err(e),
        };
        files.push(AsideFile { path, start, end, bytes });
    }
    files.sort_unstable_by_key(|file| file.start);
    Ok(files)
}

/// Removes files that a crash left half done: their batch is still in the log, from `next` on.
pub(super) fn clean<D: Disk>(disk: &D, dir: &Path, next: u64) -> io::Result<()> {
    for file in list(disk, dir)?.into_iter().filter(|file| file.start >= next) {
        disk.remove(&file.path)?;
    }
    Ok(())
}

/// Reads a batch, and why it was set aside.
pub(super) fn read<D: Disk>(disk: &D, file: &AsideFile) -> io::Result<(Batch, String)> {
    let open = disk.open(&file.path)?;
    let mut bytes = vec![0; usize::try_from(open.len()?).unwrap_or(usize::MAX)];
    let filled = open.fill_at(&mut bytes, 0)?;
    bytes.truncate(filled);
    decode(bytes, file).ok_or_else(|| {
        io::Error::new(io::ErrorKind::InvalidData, format!("{} is damaged", file.path.display()))
    })
}

fn decode(bytes: Vec<u8>, file: &AsideFile) -> Option<(Batch, String)> {
    let end = bytes.len().checked_sub(4)?;
    let whole = bytes.get(..8)? == MAGIC
        && u32_at(&bytes, 8)? == VERSION
        && u32_at(&bytes, end)? == crc32c::crc32c(&bytes[..end]);
    if !whole {
        return None;
    }
    let mut at = 12;
    let mut text = || {
        let len = u32_at(&bytes, at)? as usize;
        let text = String::from_utf8(bytes.get(at + 4..at + 4 + len)?.to_vec()).ok()?;
        at += 4 + len;
        Some(text)
    };
    let (token, columns, why) = (text()?, text()?, text()?);
    let rows = Bytes::from(bytes).slice(at..end);
    let batch =
        Batch { rows, count: file.end - file.start, columns, token, start: file.start, end: file.end };
    Some((batch, why))
}
