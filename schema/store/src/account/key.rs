//! The account key: 32 random bytes in a file, never stored in the database. It seals what only a running
//! Sotto has to read (secrets of two-step sign-in), so that a copy of the database or of a backup does not
//! reveal them.
//!
//! Webhooks are sealed with it too (`hook`).
//!
//! Sealed with XChaCha20-Poly1305 (draft-irtf-cfrg-xchacha-03), whose 24-byte nonces may be random. Purpose
//! and user are authenticated data, so a sealed text cannot be reused for another user or purpose.

use base64ct::{Base64UrlUnpadded, Encoding as _};
use chacha20poly1305::{
    KeyInit as _, XChaCha20Poly1305, XNonce,
    aead::{Aead as _, Payload},
};
use sotto_schema::id::UserId;
use zeroize::Zeroizing;

/// Length of the key file in bytes.
pub const ACCOUNT_KEY_BYTES: usize = 32;
/// The first bytes of a sealed text identify the key that sealed it without revealing it.
const NAME_BYTES: usize = 8;
const NONCE_BYTES: usize = 24;

/// Why a sealed text cannot be read.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum KeyError {
    /// There is no key file, or it cannot be read.
    #[error("the account key file is missing")]
    Missing,
    /// It was sealed under another key.
    #[error("the account key file is another than the one it was switched on with")]
    Other,
    /// It was changed, or belongs to somebody or something else.
    #[error("what is stored was damaged")]
    Damaged,
    /// Sealing failed.
    #[error("nothing can be sealed")]
    Sealing,
}

/// What a sealed text is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Purpose {
    /// Secret and recovery codes of a user with two-step sign-in.
    Secret,
    /// A secret that was shown but not yet confirmed.
    Enrolment,
    /// Proof that the password was right a moment ago.
    Ticket,
    /// Address and secret of a webhook; its number stands for the user.
    Hook,
}

impl Purpose {
    const fn name(self) -> &'static str {
        match self {
            Self::Secret => "secret",
            Self::Enrolment => "enrolment",
            Self::Ticket => "ticket",
            Self::Hook => "hook",
        }
    }

    fn bound_to(self, user: UserId) -> String {
        ["sotto two-step ", self.name(), " ", &user.to_string()].concat()
    }
}

/// The key. Zeroed in memory on drop, and never printed.
#[derive(Clone)]
pub struct AccountKey(Zeroizing<[u8; ACCOUNT_KEY_BYTES]>);

impl std::fmt::Debug for AccountKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("(secret)")
    }
}

impl AccountKey {
    /// The key from the contents of its file; `None` unless they are exactly [`ACCOUNT_KEY_BYTES`] long.
    pub fn of_file(bytes: &[u8]) -> Option<Self> {
        bytes.try_into().ok().map(|key| Self(Zeroizing::new(key)))
    }

    /// Bytes for a new key file.
    ///
    /// # Errors
    /// When the operating system has no randomness.
    pub fn random_file() -> Result<Zeroizing<[u8; ACCOUNT_KEY_BYTES]>, getrandom::Error> {
        let mut bytes = Zeroizing::new([0u8; ACCOUNT_KEY_BYTES]);
        getrandom::fill(bytes.as_mut_slice())?;
        Ok(bytes)
    }

    fn name(&self) -> [u8; NAME_BYTES] {
        let hash = blake3::derive_key("sotto 2026-11 name of an account key", self.0.as_slice());
        std::array::from_fn(|i| hash[i])
    }

    fn cipher(&self) -> XChaCha20Poly1305 {
        let key = Zeroizing::new(blake3::derive_key("sotto 2026-11 sealing", self.0.as_slice()));
        XChaCha20Poly1305::new((&*key).into())
    }

    /// Keyed hash of a one-time code, stored in the database: without the key nobody can try codes against
    /// it.
    pub(super) fn mark(&self, user: UserId, code: &str) -> [u8; 32] {
        let key = Zeroizing::new(blake3::derive_key("sotto 2026-11 recovery codes", self.0.as_slice()));
        let mut hasher = blake3::Hasher::new_keyed(&key);
        hasher.update(&user.0.to_le_bytes()).update(code.as_bytes());
        *hasher.finalize().as_bytes()
    }

    pub(crate) fn seal(&self, purpose: Purpose, user: UserId, text: &[u8]) -> Result<String, KeyError> {
        let mut nonce = [0u8; NONCE_BYTES];
        getrandom::fill(&mut nonce).map_err(|_| KeyError::Sealing)?;
        let aad = purpose.bound_to(user);
        let payload = Payload { msg: text, aad: aad.as_bytes() };
        let sealed = self.cipher().encrypt(&XNonce::from(nonce), payload).map_err(|_| KeyError::Sealing)?;
        Ok(Base64UrlUnpadded::encode_string(&[&self.name()[..], &nonce, &sealed].concat()))
    }

    pub(crate) fn open(
        &self,
        purpose: Purpose,
        user: UserId,
        sealed: &str,
    ) -> Result<Zeroizing<Vec<u8>>, KeyError> {
        let bytes = Base64UrlUnpadded::decode_vec(sealed).map_err(|_| KeyError::Damaged)?;
        let (name, rest) = bytes.split_first_chunk::<NAME_BYTES>().ok_or(KeyError::Damaged)?;
        if *name != self.name() {
            return Err(KeyError::Other);
        }
        let (nonce, sealed) = rest.split_first_chunk::<NONCE_BYTES>().ok_or(KeyError::Damaged)?;
        let aad = purpose.bound_to(user);
        let payload = Payload { msg: sealed, aad: aad.as_bytes() };
        let text = self.cipher().decrypt(&XNonce::from(*nonce), payload).map_err(|_| KeyError::Damaged)?;
        Ok(Zeroizing::new(text))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key(byte: u8) -> AccountKey {
        AccountKey::of_file(&[byte; ACCOUNT_KEY_BYTES]).unwrap()
    }

    #[test]
    fn key_file_has_exactly_its_length() {
        for (length, taken) in [(0, false), (31, false), (32, true), (33, false)] {
            assert_eq!(AccountKey::of_file(&vec![7; length]).is_some(), taken, "{length}");
        }
    }

    #[test]
    fn sealed_text_opens_only_with_its_key_for_its_user_and_purpose() {
        let sealed = key(1).seal(Purpose::Secret, UserId(7), b"text").unwrap();
        assert_eq!(key(1).open(Purpose::Secret, UserId(7), &sealed).unwrap().as_slice(), b"text");
        assert_eq!(key(2).open(Purpose::Secret, UserId(7), &sealed), Err(KeyError::Other));
        assert_eq!(key(1).open(Purpose::Secret, UserId(8), &sealed), Err(KeyError::Damaged));
        assert_eq!(key(1).open(Purpose::Ticket, UserId(7), &sealed), Err(KeyError::Damaged));
    }

    #[test]
    fn any_changed_or_missing_character_is_found() {
        let sealed = key(1).seal(Purpose::Secret, UserId(7), b"text").unwrap();
        for at in 0..sealed.len() {
            let mut changed = sealed.clone().into_bytes();
            changed[at] = if changed[at] == b'A' { b'B' } else { b'A' };
            let changed = String::from_utf8(changed).unwrap();
            assert!(key(1).open(Purpose::Secret, UserId(7), &changed).is_err(), "{at}");
            assert!(key(1).open(Purpose::Secret, UserId(7), &sealed[..at]).is_err(), "{at}");
        }
    }

    #[test]
    fn same_text_is_sealed_differently_each_time() {
        let seal = || key(1).seal(Purpose::Secret, UserId(7), b"text").unwrap();
        assert_ne!(seal(), seal());
    }

    #[test]
    fn key_is_not_shown() {
        assert_eq!(format!("{:?}", key(1)), "(secret)");
    }
}
