//! Backups in the data directory, and their retention.

use std::{fs, io, path::Path};

use sotto_schema::{datamap, id::SiteId};

use crate::retention::Removed;

pub mod sealed;

/// Directory of backups within the data directory.
pub const DIRECTORY: &str = "backups";
/// File name suffix until the backup is complete; leftovers of a killed backup age like backups.
const UNFINISHED: &str = ".new";
const DAY_MS: i64 = 24 * 60 * 60 * 1000;

/// Retention of backups in days, from the data map.
pub fn days() -> i64 {
    datamap::class_days("backups").map_or(0, i64::from)
}

/// File name of a backup made at `now_ms`; its age is derived from the time in the name.
pub fn name(now_ms: i64) -> String {
    let time = jiff::Timestamp::from_millisecond(now_ms).unwrap_or_default();
    format!("sotto-{}.tar.age", time.strftime("%Y%m%dT%H%M%SZ"))
}

/// When the backup of that name was made; `None` for other files.
fn made_ms(name: &str) -> Option<i64> {
    let (time, rest) = name.strip_prefix("sotto-")?.split_once('.')?;
    // Early versions wrote backups as plain tar archives.
    let known = matches!(rest.strip_suffix(UNFINISHED).unwrap_or(rest), "tar" | "tar.age");
    let time = jiff::fmt::strtime::parse("%Y%m%dT%H%M%SZ", time).ok()?.to_datetime().ok()?;
    let time = time.to_zoned(jiff::tz::TimeZone::UTC).ok()?;
    known.then(|| time.timestamp().as_millisecond())
}

/// Deletes the backups in `dir` that are older than the data map allows; with `dry` it only lists them. Other
/// files stay.
///
/// # Errors
/// When the directory cannot be read or a file not deleted.
pub fn expire(dir: &Path, now_ms: i64, dry: bool) -> io::Result<Vec<Removed>> {
    let mut removed = Vec::new();
    let entries = match fs::read_dir(dir) {
        Ok(entries) => entries,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(removed),
        Err(error) => return Err(error),
    };
    for entry in entries {
        let entry = entry?;
        let Some(made) = entry.file_name().to_str().and_then(made_ms) else { continue };
        if now_ms - made < days() * DAY_MS {
            continue;
        }
        if !dry {
            fs::remove_file(entry.path())?;
        }
        let day =
            jiff::Timestamp::from_millisecond(made).unwrap_or_default().strftime("%Y-%m-%d").to_string();
        removed.push(Removed {
            class: "backups",
            site: SiteId::NONE,
            from: Some(day.clone()),
            to: Some(day),
            count: 1,
            how: "deleted",
        });
    }
    Ok(removed)
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: i64 = 1_800_000_000_000;

    #[test]
    fn backup_is_deleted_when_its_days_are_over_and_other_files_stay() {
        let dir = tempfile::tempdir().unwrap();
        let old = name(NOW - days() * DAY_MS);
        let young = name(NOW - days() * DAY_MS + 1000);
        let (plain, killed) = (old.replace(".age", ""), format!("{old}.new"));
        for file in
            [&old, &young, &plain, &killed, "sotto-notes.txt", "sotto-20200101T000000Z.tar.gz", "x.tar"]
        {
            fs::write(dir.path().join(file), b"x").unwrap();
        }
        assert_eq!(expire(dir.path(), NOW, true).unwrap().len(), 3);
        assert!(dir.path().join(&old).exists(), "a dry run deletes nothing");
        assert_eq!(expire(dir.path(), NOW, false).unwrap().len(), 3);
        let left = fs::read_dir(dir.path()).unwrap().count();
        assert_eq!((left, dir.path().join(&young).exists()), (4, true));
        assert!(expire(&dir.path().join("none"), NOW, false).unwrap().is_empty());
    }
}
