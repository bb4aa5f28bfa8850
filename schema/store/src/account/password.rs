//! Passwords: argon2id with 19 MiB, two passes and one lane (OWASP, Password Storage Cheat Sheet), with
//! bounded concurrency.

use std::sync::Arc;

use argon2::{
    Algorithm, Argon2, Params, Version,
    password_hash::{PasswordHasher, PasswordVerifier, phc::PasswordHash},
};
use tokio::sync::Semaphore;

use super::AccountError;

/// The shortest password, in characters.
pub const PASSWORD_CHARS_MIN: usize = 10;
/// The longest password, in bytes. Hashing time hardly depends on the length, but input must be bounded.
pub const PASSWORD_BYTES_MAX: usize = 200;
/// Maximum number of concurrent hashes: each takes a core and 19 MiB.
const CONCURRENT_MAX: usize = 2;
/// Memory of one hash in KiB.
const MEMORY_KIB: u32 = 19 * 1024;
/// Passes over that memory.
const PASSES: u32 = 2;

/// Whether a password may be chosen.
///
/// # Errors
/// [`AccountError::Password`].
pub(super) fn check(password: &str) -> Result<(), AccountError> {
    let allowed = password.chars().count() >= PASSWORD_CHARS_MIN && password.len() <= PASSWORD_BYTES_MAX;
    if allowed { Ok(()) } else { Err(AccountError::Password) }
}

/// Hashes and verifies passwords, a bounded number at once, off the serving threads.
#[derive(Debug, Clone)]
pub struct Hasher {
    permits: Arc<Semaphore>,
    /// A dummy hash, compared when there is no such user so that both cases take equally long.
    nobody: Arc<str>,
}

impl Hasher {
    /// A hasher.
    ///
    /// # Errors
    /// When the operating system has no randomness.
    pub fn new() -> Result<Self, AccountError> {
        let (secret, _) = super::random_secret()?;
        Ok(Self { permits: Arc::new(Semaphore::new(concurrent())), nobody: hash(&secret)?.into() })
    }

    /// The hash string under which a password is stored.
    ///
    /// # Errors
    /// When it cannot be hashed.
    pub async fn hash(&self, password: &str) -> Result<String, AccountError> {
        let password = password.to_owned();
        self.run(move || hash(&password)).await?
    }

    /// The same of a password that somebody chooses.
    ///
    /// # Errors
    /// When it may not be chosen or cannot be hashed.
    pub async fn hash_new(&self, password: &str) -> Result<String, AccountError> {
        check(password)?;
        self.hash(password).await
    }

    /// Whether `password` is the one stored as `stored`; `None` stands for an unknown user and never matches.
    ///
    /// # Errors
    /// When it cannot be hashed.
    pub async fn matches(&self, password: &str, stored: Option<&str>) -> Result<bool, AccountError> {
        if password.len() > PASSWORD_BYTES_MAX {
            return Ok(false);
        }
        let known = stored.is_some();
        let stored = stored.unwrap_or(&self.nobody).to_owned();
        let password = password.to_owned();
        let matches = self.run(move || matches(&password, &stored)).await?;
        Ok(matches && known)
    }

    async fn run<T: Send + 'static>(
        &self,
        work: impl FnOnce() -> T + Send + 'static,
    ) -> Result<T, AccountError> {
        let _permit = self.permits.acquire().await.map_err(|_| AccountError::Hashing)?;
        tokio::task::spawn_blocking(work).await.map_err(|_| AccountError::Hashing)
    }
}

/// Half of the cores; the others are left for hits.
fn concurrent() -> usize {
    std::thread::available_parallelism().map_or(1, |cores| (cores.get() / 2).clamp(1, CONCURRENT_MAX))
}

fn argon2() -> Result<Argon2<'static>, AccountError> {
    let params = Params::new(MEMORY_KIB, PASSES, 1, None).map_err(|_| AccountError::Hashing)?;
    Ok(Argon2::new(Algorithm::Argon2id, Version::V0x13, params))
}

fn hash(password: &str) -> Result<String, AccountError> {
    let hash: PasswordHash =
        argon2()?.hash_password(password.as_bytes()).map_err(|_| AccountError::Hashing)?;
    Ok(hash.to_string())
}

fn matches(password: &str, stored: &str) -> bool {
    let Ok(stored) = PasswordHash::new(stored) else { return false };
    Argon2::default().verify_password(password.as_bytes(), &stored).is_ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn password_at_a_limit_is_accepted_and_one_beyond_is_not() {
        for (password, allowed) in [
            ("ä".repeat(PASSWORD_CHARS_MIN), true),
            ("ä".repeat(PASSWORD_CHARS_MIN - 1), false),
            ("a".repeat(PASSWORD_BYTES_MAX), true),
            ("a".repeat(PASSWORD_BYTES_MAX + 1), false),
        ] {
            assert_eq!(check(&password).is_ok(), allowed, "{} bytes", password.len());
        }
    }

    #[tokio::test]
    async fn only_the_right_password_of_a_known_user_matches() {
        let hasher = Hasher::new().unwrap();
        let stored = hasher.hash("correct horse").await.unwrap();
        assert!(stored.starts_with("$argon2id$v=19$m=19456,t=2,p=1$"), "{stored}");
        assert!(hasher.matches("correct horse", Some(&stored)).await.unwrap());
        assert!(!hasher.matches("correct horsf", Some(&stored)).await.unwrap());
        assert!(!hasher.matches("correct horse", None).await.unwrap());
        assert!(!hasher.matches("correct horse", Some("")).await.unwrap());
    }

    #[tokio::test]
    async fn same_password_is_stored_differently_each_time() {
        let hasher = Hasher::new().unwrap();
        assert_ne!(hasher.hash("correct horse").await.unwrap(), hasher.hash("correct horse").await.unwrap());
    }
}
