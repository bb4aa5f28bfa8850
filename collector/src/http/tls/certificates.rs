//! The certificates in use, found by host name, and read again when their files change.
//!
//! **Promises.** A file that cannot be used any more changes nothing: the certificate of before is kept, and the fault is
//! logged once, counted, and told by [`Certificates::faults`] until the file is right again.

use std::{
    collections::{BTreeMap, HashMap},
    fs,
    os::unix::fs::{MetadataExt as _, PermissionsExt as _},
    path::Path,
    sync::{Arc, Mutex, MutexGuard, PoisonError, atomic::Ordering},
};

use arc_swap::ArcSwap;
use rustls::{
    server::{ClientHello, ResolvesServerCert},
    sign::CertifiedKey,
};

use super::{Certificate, CertificateError};
use crate::{
    config::{CertificateFiles, Config, acme_file},
    metrics::Metrics,
};

/// The certificates in use.
pub struct Certificates {
    table: ArcSwap<Table>,
    slots: Mutex<Vec<Slot>>,
    /// What an ACME authority says, by host.
    refusals: Mutex<BTreeMap<String, String>>,
    metrics: Arc<Metrics>,
}

impl std::fmt::Debug for Certificates {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Certificates").finish_non_exhaustive()
    }
}

/// Certificates by host name.
#[derive(Default)]
struct Table {
    /// What is asked for a name that is whole.
    exact: HashMap<String, Arc<CertifiedKey>>,
    /// The same for `*` and the name that follows its dot.
    wild: HashMap<String, Arc<CertifiedKey>>,
    /// What who names no host gets.
    first: Option<Arc<CertifiedKey>>,
}

/// One pair of files, and what was read last.
struct Slot {
    files: CertificateFiles,
    /// The ACME host for which Sotto writes them; until then they are missing.
    host: Option<String>,
    /// What tells whether the files have changed.
    stamp: Option<[Stamp; 2]>,
    certificate: Option<Certificate>,
    fault: Option<String>,
}

/// Device, number, length and times of a file; zeros for one that is missing.
type Stamp = [i128; 5];

fn stamp(path: &Path) -> Stamp {
    fs::metadata(path).map_or([0; 5], |file| {
        let time = |seconds: i64, nanoseconds: i64| i128::from(seconds) << 32 | i128::from(nanoseconds);
        [
            file.dev().into(),
            file.ino().into(),
            file.len().into(),
            time(file.mtime(), file.mtime_nsec()),
            time(file.ctime(), file.ctime_nsec()),
        ]
    })
}

impl Slot {
    /// Reads the files if they have changed. Whether something else is in use now.
    fn read(&mut self, metrics: &Metrics) -> Result<bool, CertificateError> {
        // Looked at before they are read: what changes meanwhile is read next time.
        let now = [stamp(&self.files.certificate), stamp(&self.files.key)];
        if self.stamp == Some(now) {
            return Ok(false);
        }
        self.stamp = Some(now);
        if self.host.is_some() && now[0] == [0; 5] && self.certificate.is_none() {
            return Ok(false);
        }
        match Certificate::read(&self.files) {
            Ok(certificate) => {
                self.warn_of_readers();
                (self.certificate, self.fault) = (Some(certificate), None);
                Ok(true)
            }
            Err(error) => {
                metrics.certificate_failures.fetch_add(1, Ordering::Relaxed);
                self.fault = Some(error.to_string());
                Err(error)
            }
        }
    }

    fn warn_of_readers(&self) {
        if others_may_read(&self.files.key) {
            let file = self.files.key.display();
            tracing::warn!(%file, "others may read a private key: chmod 600");
        }
    }
}

/// Whether a file can be read by others than its owner and its group, which certificate tools often make for servers.
pub fn others_may_read(path: &Path) -> bool {
    fs::metadata(path).is_ok_and(|file| file.permissions().mode() & 0o007 != 0)
}

/// A host name as certificates have it.
fn plain(host: &str) -> String {
    host.trim_end_matches('.').to_ascii_lowercase()
}

impl Table {
    fn of(slots: &[Slot]) -> Self {
        let mut table = Self::default();
        for certificate in slots.iter().filter_map(|slot| slot.certificate.as_ref()) {
            let key = &certificate.key;
            for name in &certificate.names {
                match name.strip_prefix("*.") {
                    Some(rest) => table.wild.entry(rest.to_owned()).or_insert_with(|| key.clone()),
                    None => table.exact.entry(name.clone()).or_insert_with(|| key.clone()),
                };
            }
            table.first.get_or_insert_with(|| key.clone());
        }
        table
    }

    fn find(&self, host: &str) -> Option<&Arc<CertifiedKey>> {
        let host = plain(host);
        // One label, and no more (RFC 6125, 6.4.3).
        let parent = || host.split_once('.').and_then(|(_, parent)| self.wild.get(parent));
        self.exact.get(&host).or_else(parent)
    }
}

impl Certificates {
    /// Reads the files that `config` names, and those of ACME hosts that are there.
    ///
    /// # Errors
    /// When a file that it names cannot be used.
    pub fn open(config: &Config, metrics: Arc<Metrics>) -> Result<Self, CertificateError> {
        let named = config.tls.files().into_iter().map(|files| (files, None));
        let own = config.tls.acme.hosts.iter().map(|host| {
            let file = acme_file(&config.data, host);
            (CertificateFiles { certificate: file.clone(), key: file }, Some(host.clone()))
        });
        let mut slots = Vec::new();
        for (files, host) in named.chain(own) {
            let mut slot = Slot { files, host, stamp: None, certificate: None, fault: None };
            match slot.read(&metrics) {
                Err(error) if slot.host.is_none() => return Err(error),
                // Sotto wrote it and can ask for another.
                Err(error) => tracing::warn!(%error, "a certificate cannot be used; another is asked for"),
                Ok(_) => {}
            }
            slots.push(slot);
        }
        Ok(Self {
            table: ArcSwap::from_pointee(Table::of(&slots)),
            slots: Mutex::new(slots),
            refusals: Mutex::default(),
            metrics,
        })
    }

    fn slots(&self) -> MutexGuard<'_, Vec<Slot>> {
        self.slots.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn refusals(&self) -> MutexGuard<'_, BTreeMap<String, String>> {
        self.refusals.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Reads the files that have changed. New connections get the new certificates.
    pub fn reload(&self) {
        let mut slots = self.slots();
        let mut changed = false;
        for slot in slots.iter_mut() {
            match slot.read(&self.metrics) {
                Ok(false) => {}
                Ok(true) => {
                    changed = true;
                    let file = slot.files.certificate.display();
                    tracing::info!(%file, "a certificate was read");
                }
                Err(error) => {
                    tracing::error!(%error, "a certificate cannot be used; the one before it stays in use");
                }
            }
        }
        if changed {
            self.table.store(Arc::new(Table::of(&slots)));
        }
    }

    /// Whether there is a certificate for a host.
    pub fn is_known(&self, host: &str) -> bool {
        self.table.load().find(host).is_some()
    }

    /// From when to when the certificate of an ACME host is valid, in seconds since 1970-01-01 UTC.
    pub fn validity(&self, host: &str) -> Option<(i64, i64)> {
        let slots = self.slots();
        let own = slots.iter().find(|slot| slot.host.as_deref() == Some(host))?;
        own.certificate.as_ref().map(|certificate| (certificate.valid_from_s, certificate.expires_s))
    }

    /// Notes what an ACME authority says of a host; `None` when all is well.
    pub fn note_refusal(&self, host: &str, refusal: Option<String>) {
        match refusal {
            Some(refusal) => drop(self.refusals().insert(host.to_owned(), refusal)),
            None => drop(self.refusals().remove(host)),
        }
    }

    /// Seconds until the first of them expires; `None` without any.
    pub fn expire_in_s(&self, now_s: i64) -> Option<i64> {
        let slots = self.slots();
        slots.iter().filter_map(|slot| slot.certificate.as_ref()).map(|c| c.expires_s - now_s).min()
    }

    /// What is wrong, in words.
    pub fn faults(&self, now_s: i64) -> Vec<String> {
        let mut faults = Vec::new();
        for slot in self.slots().iter() {
            let expired = slot.certificate.as_ref().is_some_and(|c| c.expires_s <= now_s);
            if let Some(fault) = &slot.fault {
                let instead = if slot.certificate.is_some() { "; the one before it is used" } else { "" };
                faults.push(format!("{fault}{instead}"));
            } else if slot.certificate.is_none() {
                faults.push(format!("{}: none yet", slot.host.as_deref().unwrap_or_default()));
            }
            if expired {
                faults.push(format!("{}: expired", slot.files.certificate.display()));
            }
        }
        faults.extend(self.refusals().iter().map(|(host, refusal)| format!("{host}: {refusal}")));
        faults
    }
}

impl ResolvesServerCert for Certificates {
    fn resolve(&self, asked: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        let table = self.table.load();
        match asked.server_name() {
            Some(host) => table.find(host).cloned(),
            None => table.first.clone(),
        }
    }
}
