//! Backups in the age format (<https://age-encryption.org/v1>): encrypted for recipients, read with one of
//! their keys.
//!
//! Files are streamed in chunks of 64 KiB, each authenticated on its own, so that memory is constant and
//! truncation or tampering is detected.

use std::{
    fs::{self, File},
    io::{self, BufReader, BufWriter, Read, Seek, SeekFrom, Write},
    os::unix::fs::OpenOptionsExt,
    path::{Path, PathBuf},
};

use age::{
    Decryptor, Encryptor,
    secrecy::ExposeSecret,
    x25519::{Identity, Recipient},
};
use zeroize::Zeroizing;

use crate::private_file;

/// The key file within the data directory.
pub const KEY_FILE: &str = "backup-key.txt";
/// The longest identity file that is read, in bytes.
pub const IDENTITY_BYTES_MAX: u64 = 64 << 10;
/// Maximum number of recipients of a backup.
pub const RECIPIENTS_MAX: usize = 20;
/// Magic bytes of a file in the age format.
const SEALED: &[u8] = b"age-encryption.org/v1\n";
/// Offset and bytes of the magic in a tar archive's first block.
const TAR: (usize, &[u8]) = (257, b"ustar");
/// A tar archive ends with two empty blocks of 512 bytes.
const TAR_END: u64 = 1024;

/// Why a backup cannot be encrypted or read.
#[derive(Debug, thiserror::Error)]
pub enum SealError {
    /// A file cannot be read or written.
    #[error("{path}: {source}")]
    File {
        /// The file.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// The backup is encrypted and there is no key file.
    #[error(
        "{file} is encrypted and {identity} is not there: give the key with --identity; it is {KEY_FILE} in the data directory of the sotto that made the backup, or the secret key of one of its backup.recipients"
    )]
    NoKeyFile {
        /// The backup.
        file: PathBuf,
        /// Where the key was expected.
        identity: PathBuf,
    },
    /// A file has no secret key of age, or is too long to be such a file.
    #[error(
        "{0} holds no secret key of age: a line that begins with AGE-SECRET-KEY-1, in at most {IDENTITY_BYTES_MAX} bytes"
    )]
    NoIdentity(PathBuf),
    /// None of the keys is one that the backup was made for.
    #[error("{file} was not made for the key in {identity}: give the right one with --identity")]
    WrongKey {
        /// The backup.
        file: PathBuf,
        /// Where the keys are from.
        identity: PathBuf,
    },
    /// The file was truncated or modified.
    #[error("{0} is cut off or was changed since it was made")]
    Damaged(PathBuf),
    /// The file is no backup.
    #[error("{0} is no backup: neither a tar archive nor one in the age format")]
    NoBackup(PathBuf),
    /// It cannot be encrypted for these recipients.
    #[error("cannot be encrypted: {0}")]
    Recipients(#[from] age::EncryptError),
}

/// Adds the path to an I/O error.
fn at(path: &Path) -> impl Fn(io::Error) -> SealError {
    move |source| SealError::File { path: path.into(), source }
}

/// A recipient of a backup, as written by `age-keygen`: "age1…".
///
/// # Errors
/// What is wrong. The text is not repeated: it may be a secret key, put there by mistake.
pub fn recipient(text: &str) -> Result<Recipient, &'static str> {
    if text.trim().to_ascii_uppercase().starts_with("AGE-SECRET-KEY-") {
        return Err("it is a secret key: keep it elsewhere, and write its public key, \"age1…\"");
    }
    text.trim().parse().map_err(|_| "it must be a public key of age-keygen, \"age1…\"")
}

/// The recipient of this installation's own key file, which is created, readable by its owner only, if
/// missing.
///
/// # Errors
/// When the file can be neither read nor made, or has no key.
pub fn own_recipient(path: &Path, now_ms: i64) -> Result<Recipient, SealError> {
    if !path.exists() {
        make_key(path, now_ms).map_err(at(path))?;
    }
    let keys = identities(path)?;
    keys.first().map(Identity::to_public).ok_or_else(|| SealError::NoIdentity(path.into()))
}

/// Writes a key file like those of `age-keygen`, durably; one that another process created meanwhile is kept.
fn make_key(path: &Path, now_ms: i64) -> io::Result<()> {
    let key = Identity::generate();
    let created = jiff::Timestamp::from_millisecond(now_ms).unwrap_or_default();
    let mut text = Zeroizing::new(format!("# created: {created}\n# public key: {}\n", key.to_public()));
    text.push_str(key.to_string().expose_secret());
    text.push('\n');
    private_file::create(path, text.as_bytes()).map(drop)
}

/// The secret keys in a file.
fn identities(path: &Path) -> Result<Vec<Identity>, SealError> {
    let mut text = Zeroizing::new(String::new());
    let read = File::open(path).and_then(|file| file.take(IDENTITY_BYTES_MAX + 1).read_to_string(&mut text));
    let none = || SealError::NoIdentity(path.into());
    match read {
        Err(error) if error.kind() == io::ErrorKind::InvalidData => return Err(none()),
        read => read.map_err(at(path))?,
    };
    if text.len() as u64 > IDENTITY_BYTES_MAX {
        return Err(none());
    }
    let lines = text.lines().map(str::trim).filter(|line| !line.is_empty() && !line.starts_with('#'));
    let keys: Result<Vec<Identity>, _> = lines.map(str::parse).collect();
    keys.ok().filter(|keys| !keys.is_empty()).ok_or_else(none)
}

/// Encrypts `plain` for `recipients` into `file`, atomically: it is complete or absent. Returns its size in
/// bytes.
///
/// # Errors
/// When there is no recipient, or `plain` or `file` fails.
pub fn seal(plain: &Path, recipients: &[Recipient], file: &Path) -> Result<u64, SealError> {
    let encryptor = Encryptor::with_recipients(recipients.iter().map(|r| r as &dyn age::Recipient))?;
    let mut input = File::open(plain).map_err(at(plain))?;
    let mut name = file.file_name().unwrap_or_default().to_owned();
    name.push(super::UNFINISHED);
    let new = file.with_file_name(name);
    let written = write_sealed(encryptor, &mut input, &new).and_then(|bytes| {
        fs::rename(&new, file)?;
        let dir = file.parent().filter(|dir| !dir.as_os_str().is_empty()).unwrap_or(Path::new("."));
        File::open(dir)?.sync_all()?;
        Ok(bytes)
    });
    if written.is_err() {
        // The first error is the one to report.
        let _gone = fs::remove_file(&new);
    }
    written.map_err(at(file))
}

fn write_sealed(encryptor: Encryptor, plain: &mut File, new: &Path) -> io::Result<u64> {
    let out = fs::OpenOptions::new().create(true).write(true).truncate(true).mode(0o600).open(new)?;
    let mut sealed = encryptor.wrap_output(BufWriter::new(out))?;
    io::copy(plain, &mut sealed)?;
    let out = sealed.finish()?.into_inner().map_err(io::IntoInnerError::into_error)?;
    out.sync_all()?;
    Ok(out.metadata()?.len())
}

/// Writes the tar archive of a backup to `out`: decrypted with a key from the file `identity`, or as it is if
/// it predates encrypted backups. Only success means that all of it was read and is authentic.
///
/// # Errors
/// See [`SealError`]. Whatever was written to `out` by then must not be used.
pub fn open(file: &Path, identity: &Path, out: &mut dyn Write) -> Result<(), SealError> {
    let damaged = |error: io::Error| {
        let broken = matches!(error.kind(), io::ErrorKind::InvalidData | io::ErrorKind::UnexpectedEof);
        if broken { SealError::Damaged(file.into()) } else { at(file)(error) }
    };
    let mut start = Vec::new();
    let head = |f: File| f.take(512).read_to_end(&mut start);
    File::open(file).and_then(head).map_err(at(file))?;
    let mut input = BufReader::new(File::open(file).map_err(at(file))?);
    if !start.starts_with(SEALED) {
        if !start.get(TAR.0..).is_some_and(|rest| rest.starts_with(TAR.1)) {
            return Err(SealError::NoBackup(file.into()));
        }
        whole_tar(file).map_err(damaged)?;
        return io::copy(&mut input, out).map(drop).map_err(at(file));
    }
    if !identity.exists() {
        return Err(SealError::NoKeyFile { file: file.into(), identity: identity.into() });
    }
    let keys = identities(identity)?;
    let keys = keys.iter().map(|key| key as &dyn age::Identity);
    let opened = Decryptor::new_buffered(input).and_then(|sealed| sealed.decrypt(keys));
    let mut plain = opened.map_err(|error| match error {
        age::DecryptError::NoMatchingKeys => {
            SealError::WrongKey { file: file.into(), identity: identity.into() }
        }
        age::DecryptError::Io(error) => damaged(error),
        age::DecryptError::DecryptionFailed
        | age::DecryptError::ExcessiveWork { .. }
        | age::DecryptError::InvalidHeader
        | age::DecryptError::InvalidMac
        | age::DecryptError::KeyDecryptionFailed
        | age::DecryptError::UnknownFormat => SealError::Damaged(file.into()),
    })?;
    io::copy(&mut plain, out).map(drop).map_err(damaged)
}

/// Reads a tar archive to its end: each entry whole, and the two empty blocks that close it (POSIX.1-1988).
/// Where ClickHouse would notice that one was cut off, or what it would say, depends on the order of its entries.
fn whole_tar(file: &Path) -> io::Result<()> {
    let mut end = Vec::new();
    let mut tail = File::open(file)?;
    let bytes = tail.metadata()?.len();
    tail.seek(SeekFrom::Start(bytes.saturating_sub(TAR_END)))?;
    tail.read_to_end(&mut end)?;
    if bytes < TAR_END || bytes % 512 != 0 || end.iter().any(|byte| *byte != 0) {
        return Err(io::ErrorKind::UnexpectedEof.into());
    }
    for entry in tar::Archive::new(BufReader::new(File::open(file)?)).entries()? {
        entry.map_err(|_| io::Error::from(io::ErrorKind::InvalidData))?;
    }
    Ok(())
}

#[cfg(test)]
mod tests;
