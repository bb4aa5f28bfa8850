//! What is answered to an ACME authority that checks whether a host name leads here.
//!
//! **Promises.** Only tokens and hosts of orders that are under way are known, in memory; no file is looked up. There are
//! never more than [`CHALLENGES_MAX`] of each.

use std::{
    collections::HashMap,
    sync::{Arc, PoisonError, RwLock},
};

use rustls::{
    ServerConfig,
    server::{ClientHello, ResolvesServerCert},
    sign::CertifiedKey,
};

/// The protocol's name in a handshake (RFC 8737).
pub(super) const ACME_PROTOCOL: &[u8] = b"acme-tls/1";
/// Where an authority looks for a token over plain HTTP (RFC 8555, 8.3).
pub const HTTP_PATH: &str = "/.well-known/acme-challenge/";
/// Most challenges at a time: orders are made one after the other.
pub const CHALLENGES_MAX: usize = 16;

/// Challenges that are under way.
#[derive(Default)]
pub struct Challenges {
    tokens: RwLock<HashMap<String, String>>,
    hosts: RwLock<HashMap<String, Arc<ServerConfig>>>,
}

/// Whether a client asks for nothing but a challenge.
pub(super) fn is_asked(asked: &ClientHello<'_>) -> bool {
    asked.alpn().is_some_and(|mut names| names.next() == Some(ACME_PROTOCOL) && names.next().is_none())
}

/// The same certificate for everybody.
#[derive(Debug)]
struct Only(Arc<CertifiedKey>);

impl ResolvesServerCert for Only {
    fn resolve(&self, _: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        Some(self.0.clone())
    }
}

/// A challenge that is answered until this is dropped.
#[must_use = "the challenge is answered for as long as this is kept"]
pub struct Answered {
    challenges: Arc<Challenges>,
    name: String,
}

impl Drop for Answered {
    fn drop(&mut self) {
        write(&self.challenges.tokens).remove(&self.name);
        write(&self.challenges.hosts).remove(&self.name);
    }
}

fn write<T>(lock: &RwLock<T>) -> std::sync::RwLockWriteGuard<'_, T> {
    lock.write().unwrap_or_else(PoisonError::into_inner)
}

impl Challenges {
    /// Answers a token over plain HTTP; `None` when there are too many.
    pub fn answer_token(self: &Arc<Self>, token: &str, authorisation: String) -> Option<Answered> {
        let mut tokens = write(&self.tokens);
        if tokens.len() >= CHALLENGES_MAX {
            return None;
        }
        tokens.insert(token.to_owned(), authorisation);
        Some(Answered { challenges: self.clone(), name: token.to_owned() })
    }

    /// Answers a host's challenge over TLS with this certificate.
    ///
    /// # Errors
    /// When rustls cannot use it, or there are too many.
    pub fn answer_host(
        self: &Arc<Self>,
        host: &str,
        certificate: CertifiedKey,
    ) -> Result<Answered, rustls::Error> {
        let config = super::server_config(Arc::new(Only(Arc::new(certificate))), &[ACME_PROTOCOL])?;
        let mut hosts = write(&self.hosts);
        if hosts.len() >= CHALLENGES_MAX {
            return Err(rustls::Error::General("too many challenges".into()));
        }
        hosts.insert(host.to_owned(), Arc::new(config));
        Ok(Answered { challenges: self.clone(), name: host.to_owned() })
    }

    /// What is answered to a token.
    pub fn authorisation(&self, token: &str) -> Option<String> {
        self.tokens.read().unwrap_or_else(PoisonError::into_inner).get(token).cloned()
    }

    pub(super) fn certificate(&self, host: &str) -> Option<Arc<ServerConfig>> {
        let host = host.to_ascii_lowercase();
        self.hosts.read().unwrap_or_else(PoisonError::into_inner).get(&host).cloned()
    }
}
