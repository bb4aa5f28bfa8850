//! The account key's file (see `sotto_store::account`): created once, never in the database or a backup.
//!
//! Without a usable file everything else works; users with two-step sign-in cannot sign in, and the log says
//! why.

use std::{
    fs,
    path::{Path, PathBuf},
};

use sotto_collector::config::Config;
use sotto_store::{
    account::{ACCOUNT_KEY_BYTES, AccountKey},
    private_file,
};

/// Default file name within the data directory; `account_key` overrides it.
const FILE: &str = "account-key";

/// Where it is.
pub fn path(config: &Config) -> PathBuf {
    config.account_key.clone().unwrap_or_else(|| config.data.join(FILE))
}

/// The key; `None` if it is unusable, with the reason in the log.
pub fn open(config: &Config) -> Option<AccountKey> {
    let path = path(config);
    // With several machines, a key created in the wrong place would differ from the others'.
    let may_make = config.account_key.is_none();
    match read_or_make(&path, may_make) {
        Ok(Some(key)) => Some(key),
        Ok(None) => {
            tracing::error!(path = %path.display(), "the account key file must have {ACCOUNT_KEY_BYTES} bytes; two-step sign-in does not work");
            None
        }
        Err(error) => {
            tracing::error!(path = %path.display(), %error, "the account key file cannot be read; two-step sign-in does not work");
            None
        }
    }
}

fn read_or_make(path: &Path, may_make: bool) -> std::io::Result<Option<AccountKey>> {
    if may_make && !path.try_exists()? {
        fs::create_dir_all(path.parent().unwrap_or(Path::new(".")))?;
        // Never overwrites a key that a concurrent start may have created.
        private_file::create(path, AccountKey::random_file().map_err(std::io::Error::other)?.as_slice())?;
    }
    Ok(AccountKey::of_file(&fs::read(path)?))
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt as _;

    use super::*;

    #[test]
    fn key_is_made_once_for_its_owner_alone() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("data").join(FILE);
        assert!(read_or_make(&path, true).unwrap().is_some());
        let made = fs::read(&path).unwrap();
        assert_eq!((made.len(), fs::metadata(&path).unwrap().permissions().mode() & 0o777), (32, 0o600));
        assert!(read_or_make(&path, true).unwrap().is_some());
        assert_eq!(fs::read(&path).unwrap(), made);
        assert_eq!(fs::read_dir(path.parent().unwrap()).unwrap().count(), 1, "nothing else is left");
    }

    #[test]
    fn named_file_is_not_made_and_a_wrong_one_is_not_touched() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("key");
        assert!(read_or_make(&path, false).is_err());
        assert!(!path.exists());
        for length in [0, 31, 33] {
            fs::write(&path, vec![1; length]).unwrap();
            assert!(read_or_make(&path, true).unwrap().is_none(), "{length}");
            assert_eq!(fs::read(&path).unwrap().len(), length);
        }
    }
}
