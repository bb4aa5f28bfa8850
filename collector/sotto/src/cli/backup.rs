//! `sotto backup` and `sotto restore`

use std::{
    fs::{self, DirBuilder, File},
    io::{self, Write as _},
    os::unix::fs::DirBuilderExt,
    path::{Path, PathBuf},
};

use sotto_collector::config::Config;
use sotto_schema::{
    clock::now_ms,
    id::{SiteId, UserId},
};
use sotto_store::{
    audit::{self, Action},
    backup::{
        self,
        sealed::{self, SealError},
    },
    engine::{self, Embedded},
    migrate,
};

mod tables;

use super::{output::say, progress::Progress};
use crate::{
    databases::{engine_directory, engine_settings, external, lock, require, with_databases},
    failure::{Exit, Failure},
};
use sotto_collector::config::Paths;

/// Subdirectory of the server's directory in which a database is restored until it is complete.
const RESTORING: &str = "restoring";

/// `sotto backup`
#[derive(Debug, clap::Args)]
pub struct BackupArgs {
    /// The archive to make, in the age format; default: in the data directory, named by the time, deleted when its
    /// days are over
    file: Option<PathBuf>,
}

/// `sotto restore`
#[derive(Debug, clap::Args)]
pub struct RestoreArgs {
    /// An archive that `sotto backup` made
    file: PathBuf,
    /// File with the secret key that it was made for; default: backup-key.txt in the data directory
    #[arg(long, value_name = "FILE")]
    identity: Option<PathBuf>,
}

fn only_embedded(config: &Config) -> Result<(), Failure> {
    if external(config).is_some() {
        return Err(Failure::usage("clickhouse.url is set: use the backup commands of that server"));
    }
    Ok(())
}

/// A file or directory deleted on drop: what the server writes or reads of a backup, which is not encrypted.
struct Plain(PathBuf);

impl Drop for Plain {
    fn drop(&mut self) {
        let removed = if self.0.is_dir() { fs::remove_dir_all(&self.0) } else { fs::remove_file(&self.0) };
        if let Err(error) = removed
            && error.kind() != io::ErrorKind::NotFound
        {
            tracing::error!(path = %self.0.display(), %error, "cannot be deleted and is not encrypted: delete it");
        }
    }
}

/// The recipients of backups, and a description of them.
fn recipients(config: &Config) -> Result<(Vec<age::x25519::Recipient>, String), Failure> {
    let named = &config.backup.recipients;
    if named.is_empty() {
        let key = config.data.join(sealed::KEY_FILE);
        let own = sealed::own_recipient(&key, now_ms())?;
        let whose = format!(
            "encrypted for the key in {}: keep a copy of that file elsewhere, without it the backup is lost",
            key.display()
        );
        return Ok((vec![own], whose));
    }
    let known: Result<Vec<_>, _> = named.iter().map(|text| sealed::recipient(text)).collect();
    let known = known.map_err(|why| Failure::usage(format!("backup.recipients: {why}")))?;
    let whose = format!(
        "encrypted for {}: without the secret key of one of them the backup is lost",
        named.join(", ")
    );
    Ok((known, whose))
}

/// Runs `sotto backup`; works beside a running sotto.
pub async fn backup(args: BackupArgs, config: &Config, paths: &Paths) -> Result<(), Failure> {
    only_embedded(config)?;
    require(config)?;
    let file = match args.file {
        Some(file) if file.try_exists()? => {
            return Err(Failure::usage(format!(
                "{} exists already; it may be the only copy of something: name another file, or remove it",
                file.display()
            )));
        }
        Some(file) => file,
        None => {
            let kept = config.data.join(backup::DIRECTORY);
            fs::create_dir_all(&kept)?;
            kept.join(backup::name(now_ms()))
        }
    };
    let (recipients, whose) = recipients(config)?;
    let mut progress = Progress::new("bytes", 0);
    let bytes = with_databases(config, paths, async |databases| {
        let dir = fs::canonicalize(engine_directory(config))?.join(engine::BACKUPS);
        fs::create_dir_all(&dir)?;
        let made = Plain(dir.join("backup.tar"));
        if made.0.exists() {
            fs::remove_file(&made.0)?; // of a backup that was interrupted
        }
        progress.step("copying the database");
        databases.writer.query(include_str!("backup/backup.sql")).execute().await?;
        progress.step("encrypting");
        let bytes = sealed::seal(&made.0, &recipients, &file)?;
        audit::append(&databases.writer, UserId::NONE, Action::Backup, SiteId::NONE, "of all tables").await?;
        Ok(bytes)
    })
    .await?;
    drop(progress);
    say!("{} ({bytes} bytes)", file.display())?;
    say!("{whose}")?;
    say!(
        "delete copies of it after {} days: that is how long erased data may live on in it",
        backup::days()
    )?;
    Ok(())
}

/// Refuses to restore into a directory that already holds a database.
fn refuse_database(config: &Config) -> Result<(), Failure> {
    if engine_directory(config).join(engine::STORE).exists() {
        return Err(Failure::usage(format!(
            "{} has a database already; restore into an empty directory with --data",
            config.data.display()
        )));
    }
    Ok(())
}

/// Runs `sotto restore`. The database appears only once all of it was restored; until then, and after a
/// failure, there is none.
pub async fn restore(args: RestoreArgs, config: &Config, paths: &Paths) -> Result<(), Failure> {
    only_embedded(config)?;
    refuse_database(config)?;
    let identity = args.identity.unwrap_or_else(|| config.data.join(sealed::KEY_FILE));
    // Read to the end once before anything is created: a wrong key or a broken file leaves everything
    // unchanged.
    File::open(&args.file).map_err(|e| Failure::file(&args.file, &e))?;
    let mut progress = Progress::new("bytes", 0);
    progress.step("checking the whole file");
    sealed::open(&args.file, &identity, &mut io::sink()).map_err(|e| {
        let exit = if matches!(e, SealError::NoKeyFile { .. }) { Exit::Missing } else { Exit::Failed };
        Failure::new(e).ending(exit)
    })?;
    let _lock = lock(config)?;
    refuse_database(config)?;
    let target = engine_directory(config);
    let growing = target.join(RESTORING);
    if growing.exists() {
        fs::remove_dir_all(&growing)?; // of a restore that was interrupted
    }
    let mut settings = engine_settings(config, paths)?;
    settings.dir.clone_from(&growing);
    progress.step("restoring");
    let mut restored = restore_into(&args.file, &identity, settings).await;
    if restored.is_ok() {
        restored = publish(&growing, &target).map_err(Failure::new);
    }
    if growing.exists() {
        fs::remove_dir_all(&growing)?;
    }
    if restored.is_err() {
        // Succeeds only if it is empty, so it was created here. The earlier error is the one to report.
        let _kept = fs::remove_dir(&target);
    }
    drop(progress);
    restored?;
    say!("restored into {}", config.data.display())?;
    Ok(())
}

/// Moves a database into place once all of it is on disk, durably even if the machine loses power.
fn publish(growing: &Path, target: &Path) -> io::Result<()> {
    let dir = File::open(target)?;
    rustix::fs::syncfs(&dir)?;
    fs::rename(growing.join(engine::STORE), target.join(engine::STORE))?;
    dir.sync_all()
}

/// Creates a database in its own directory and fills it from a backup.
async fn restore_into(file: &Path, identity: &Path, settings: engine::Settings) -> Result<(), Failure> {
    let dir = settings.dir.clone();
    let engine = Embedded::start(settings).await?;
    let filled = fill(file, identity, &dir, &engine).await;
    engine.stop().await;
    filled
}

async fn fill(file: &Path, identity: &Path, dir: &Path, engine: &Embedded) -> Result<(), Failure> {
    let dir = fs::canonicalize(dir)?.join(engine::BACKUPS);
    fs::create_dir_all(&dir)?;
    // Unpacked: in an archive, the server looks for each of thousands of files from the beginning.
    let plain = Plain(dir.join("restore"));
    DirBuilder::new().mode(0o700).create(&plain.0)?;
    unpack(file, identity, &plain.0)?;
    tables::check(&plain.0).map_err(|e| Failure::failed(format!("{}: {e}", file.display())))?;
    let db = engine.databases().writer;
    db.without_database().query_raw(include_str!("backup/restore.sql")).execute().await?;
    migrate::migrate(&db).await?;
    Ok(())
}

/// Unpacks a backup into a directory while it is decrypted.
fn unpack(file: &Path, identity: &Path, dir: &Path) -> Result<(), Failure> {
    let (reader, writer) = io::pipe()?;
    std::thread::scope(|scope| {
        let opened = scope.spawn(move || {
            let mut writer = io::BufWriter::new(writer);
            sealed::open(file, identity, &mut writer)?;
            writer.flush().map_err(|source| SealError::File { path: file.into(), source })
        });
        let unpacked = unpack_entries(io::BufReader::new(reader), dir);
        // An error here closes the pipe, which ends the thread with an error that says less.
        unpacked.map_err(|e| Failure::failed(format!("{}: {e}", file.display())))?;
        opened.join().map_err(|_| Failure::failed("reading the backup panicked"))?.map_err(Failure::new)
    })
}

/// Unpacks files and directories; whatever else an archive may hold is none of ClickHouse's.
fn unpack_entries(input: impl io::Read, dir: &Path) -> io::Result<()> {
    let mut archive = tar::Archive::new(input);
    archive.set_preserve_permissions(false);
    archive.set_preserve_mtime(false);
    for entry in archive.entries()? {
        let mut entry = entry?;
        let kind = entry.header().entry_type();
        if !(kind.is_file() || kind.is_dir()) || !entry.unpack_in(dir)? {
            return Err(io::Error::new(io::ErrorKind::InvalidData, "the archive is not one of ClickHouse"));
        }
    }
    // To the end, so that the other side of the pipe can write all of it.
    io::copy(&mut archive.into_inner(), &mut io::sink()).map(drop)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// An archive of one entry.
    fn archive(kind: tar::EntryType, path: &str, content: &[u8]) -> Vec<u8> {
        let mut header = tar::Header::new_gnu();
        header.as_mut_bytes()[..path.len()].copy_from_slice(path.as_bytes());
        header.set_entry_type(kind);
        header.set_mode(0o666);
        header.set_size(content.len() as u64);
        if kind.is_symlink() {
            header.set_link_name("/etc").unwrap();
        }
        header.set_cksum();
        let mut archive = tar::Builder::new(Vec::new());
        archive.append(&header, content).unwrap();
        archive.into_inner().unwrap()
    }

    #[test]
    fn archive_is_unpacked_inside_its_directory_only() {
        use tar::EntryType::{Block, Char, Directory, Fifo, GNUSparse, Link, Regular, Symlink};
        for (kind, path, ok) in [
            (Regular, "data/sotto/part/file.bin", true),
            (Regular, ".backup", true),
            (Directory, "data", true),
            (Symlink, "link", false),
            (Link, "link", false),
            (Char, "device", false),
            (Block, "device", false),
            (Fifo, "pipe", false),
            (GNUSparse, "sparse", false),
            (Regular, "../outside", false),
            (Regular, "data/../../outside", false),
        ] {
            let parent = tempfile::tempdir().unwrap();
            let dir = parent.path().join("restore");
            fs::create_dir(&dir).unwrap();
            let content: &[u8] = if kind == Regular { b"content" } else { b"" };
            let unpacked = unpack_entries(&archive(kind, path, content)[..], &dir);
            assert_eq!(unpacked.is_ok(), ok, "{path}: {unpacked:?}");
            assert!(!parent.path().join("outside").exists(), "{path}");
            if ok && kind == Regular {
                assert_eq!(fs::read(dir.join(path)).unwrap(), content, "{path}");
            }
        }
    }
}
