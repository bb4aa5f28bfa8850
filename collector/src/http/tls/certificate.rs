//! A certificate with its key, as read from PEM files.

use std::{
    fs, io,
    io::Read as _,
    path::{Path, PathBuf},
    sync::Arc,
};

use rustls::{
    pki_types::{CertificateDer, PrivateKeyDer, pem::PemObject as _},
    sign::CertifiedKey,
};
use x509_parser::{
    extensions::GeneralName,
    prelude::{FromDer as _, X509Certificate},
};

use crate::config::CertificateFiles;

/// Largest file, in bytes: a long chain has about ten thousand.
pub(super) const FILE_BYTES_MAX: u64 = 1 << 20;

/// A certificate that can be used. Its `Debug` has no key.
pub struct Certificate {
    /// Host names in small letters, some with `*` as their first label.
    pub names: Vec<String>,
    /// When it became valid, in seconds since 1970-01-01 UTC.
    pub valid_from_s: i64,
    /// When it expires, in seconds since 1970-01-01 UTC.
    pub expires_s: i64,
    /// What rustls signs with.
    pub(super) key: Arc<CertifiedKey>,
}

impl std::fmt::Debug for Certificate {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Certificate").field("names", &self.names).finish_non_exhaustive()
    }
}

/// Why a certificate cannot be used. The start stops; while Sotto runs, the certificate of before is kept. No text of a
/// file is repeated: it may be a key.
#[derive(Debug, thiserror::Error)]
pub enum CertificateError {
    /// A file cannot be read.
    #[error("{}: {source}", path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// A file is too large to be what it should be.
    #[error("{}: more than 1 MB", .0.display())]
    TooLarge(PathBuf),
    /// There is no certificate.
    #[error("{}: no certificate as PEM (-----BEGIN CERTIFICATE-----)", .0.display())]
    NoCertificate(PathBuf),
    /// There is no key.
    #[error("{}: no private key as PEM (-----BEGIN PRIVATE KEY-----)", .0.display())]
    NoKey(PathBuf),
    /// The certificate is not understood.
    #[error("{}: the first certificate is not understood", .0.display())]
    Broken(PathBuf),
    /// The certificate is for nobody.
    #[error("{}: the first certificate names no host (subjectAltName)", .0.display())]
    NoNames(PathBuf),
    /// The key is not that of the certificate, or of a kind that is not supported.
    #[error("{} and {}: {source}", certificate.display(), key.display())]
    Unusable {
        /// The file with the certificate.
        certificate: PathBuf,
        /// The file with the key.
        key: PathBuf,
        /// Why.
        source: rustls::Error,
    },
    /// TLS cannot be set up.
    #[error("TLS cannot be set up: {0}")]
    Tls(rustls::Error),
}

fn read(path: &Path) -> Result<Vec<u8>, CertificateError> {
    let failed = |source| CertificateError::Read { path: path.into(), source };
    let mut bytes = Vec::new();
    let file = fs::File::open(path).map_err(failed)?;
    file.take(FILE_BYTES_MAX + 1).read_to_end(&mut bytes).map_err(failed)?;
    if bytes.len() as u64 > FILE_BYTES_MAX {
        return Err(CertificateError::TooLarge(path.into()));
    }
    Ok(bytes)
}

impl Certificate {
    /// Reads a pair of files.
    ///
    /// # Errors
    /// See [`CertificateError`].
    pub fn read(files: &CertificateFiles) -> Result<Self, CertificateError> {
        let CertificateFiles { certificate, key } = files;
        let chain: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(&read(certificate)?).collect();
        let chain = chain.map_err(|_| CertificateError::NoCertificate(certificate.clone()))?;
        let first = chain.first().ok_or_else(|| CertificateError::NoCertificate(certificate.clone()))?;
        let (names, [valid_from_s, expires_s]) =
            described(first).ok_or_else(|| CertificateError::Broken(certificate.clone()))?;
        if names.is_empty() {
            return Err(CertificateError::NoNames(certificate.clone()));
        }
        let text = zeroize::Zeroizing::new(read(key)?);
        let signer =
            PrivateKeyDer::from_pem_slice(&text).map_err(|_| CertificateError::NoKey(key.clone()))?;
        let pair = CertifiedKey::from_der(chain, signer, &super::provider()).map_err(|source| {
            CertificateError::Unusable { certificate: certificate.clone(), key: key.clone(), source }
        })?;
        Ok(Self { names, valid_from_s, expires_s, key: Arc::new(pair) })
    }
}

/// The host names of a certificate, and from when to when it is valid.
fn described(certificate: &CertificateDer<'_>) -> Option<(Vec<String>, [i64; 2])> {
    let (_, parsed) = X509Certificate::from_der(certificate).ok()?;
    let names = parsed.subject_alternative_name().ok()?.map_or_else(Vec::new, |names| {
        let host = |name: &GeneralName<'_>| match name {
            GeneralName::DNSName(host) => Some(host.to_ascii_lowercase()),
            GeneralName::OtherName(..)
            | GeneralName::RFC822Name(_)
            | GeneralName::X400Address(_)
            | GeneralName::DirectoryName(_)
            | GeneralName::EDIPartyName(_)
            | GeneralName::URI(_)
            | GeneralName::IPAddress(_)
            | GeneralName::RegisteredID(_)
            | GeneralName::Invalid(..) => None,
        };
        names.value.general_names.iter().filter_map(host).collect()
    });
    let validity = parsed.validity();
    Some((names, [validity.not_before.timestamp(), validity.not_after.timestamp()]))
}
