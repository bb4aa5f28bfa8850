//! What was shipped, and the batch under way: `cursor.json`, replaced whole and synced.

use std::{
    fs::{self, File},
    io::{self, Write},
    path::{Path, PathBuf},
};

use serde::{Deserialize, Serialize};

use super::{OpenError, segment};

/// A position in the log and the batch that begins there.
#[derive(Debug, Clone)]
pub(super) struct Cursor {
    dir: PathBuf,
    /// Identity of this spool; part of every token.
    pub(super) id: String,
    pub(super) state: State,
}

#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct State {
    /// Sequence number of the first record that is not shipped.
    pub(super) next: u64,
    /// End (exclusive) of the batch that is being shipped.
    pub(super) sealed_end: Option<u64>,
}

impl Cursor {
    pub(super) fn load(dir: &Path) -> Result<Self, OpenError> {
        let error = |source| OpenError::Io { path: dir.join("cursor.json"), source };
        let id = match fs::read_to_string(dir.join("id")) {
            Ok(id) => id.trim().to_owned(),
            Err(e) if e.kind() == io::ErrorKind::NotFound => {
                let id = getrandom::u64().map_err(|e| error(io::Error::other(e.to_string())))?;
                let id = format!("{id:016x}");
                replace(dir, "id", id.as_bytes()).map_err(error)?;
                id
            }
            Err(e) => return Err(error(e)),
        };
        let state = match fs::read(dir.join("cursor.json")) {
            Ok(bytes) => serde_json::from_slice(&bytes).map_err(|e| error(e.into()))?,
            Err(e) if e.kind() == io::ErrorKind::NotFound => {
                let first = segment::list(dir).map_err(error)?.first().copied().unwrap_or(1);
                State { next: first, sealed_end: None }
            }
            Err(e) => return Err(error(e)),
        };
        Ok(Self { dir: dir.to_owned(), id, state })
    }

    /// Notes `state` durably.
    pub(super) fn store(&mut self, state: State) -> io::Result<()> {
        replace(&self.dir, "cursor.json", &serde_json::to_vec(&state)?)?;
        self.state = state;
        Ok(())
    }
}

fn replace(dir: &Path, name: &str, bytes: &[u8]) -> io::Result<()> {
    let new = dir.join(format!("{name}.new"));
    let mut file = File::create(&new)?;
    file.write_all(bytes)?;
    file.sync_all()?;
    fs::rename(&new, dir.join(name))?;
    segment::sync_dir(dir)
}
