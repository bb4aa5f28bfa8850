//! Certificates from an ACME authority (RFC 8555), such as Let's Encrypt: asked for, kept and renewed.
//!
//! **Promises.** Certificates are asked for only for the configured host names, each its own, so that one whose name leads
//! elsewhere does not stop the others. A certificate is renewed when a third of its life is left, not at the same moment
//! everywhere. After a failure, the pauses double up to a day; the certificate in use stays. The account and the
//! certificates with their keys are files of mode 0600 in `acme` of the data directory; they are in no backup, as others
//! can be had.
//!
//! **After a crash**, an order that was not finished is forgotten and made again.
//!
//! **Proof**: `acme/schedule.rs`; `tests/suite/acme.rs`, with a real authority.

use std::{
    collections::BTreeMap,
    fs, io,
    path::{Path, PathBuf},
    sync::{Arc, atomic::Ordering},
    time::Duration,
};

use instant_acme::{
    Account, AccountCredentials, AuthorizationStatus, ChallengeType, Identifier, NewAccount, NewOrder, Order,
    OrderStatus, RetryPolicy,
};
use rcgen::{CertificateParams, CustomExtension, DistinguishedName, KeyPair};
use rustls::{
    pki_types::{PrivateKeyDer, PrivatePkcs8KeyDer},
    sign::CertifiedKey,
};
use serde::{Deserialize, Serialize};
use sotto_schema::clock::now_ms;
use sotto_store::private_file;
use tokio_util::sync::CancellationToken;

use crate::{
    config::{self, ChallengeKind, acme_directory, acme_file},
    http::tls::{Answered, Tls, provider},
    metrics::Metrics,
};

mod client;
mod schedule;

use client::Client;
use schedule::Schedule;

/// The account's file in the directory of certificates.
const ACCOUNT_FILE: &str = "account.json";
/// Time limit for one certificate, from order to file.
const ORDER_TIMEOUT: Duration = Duration::from_secs(5 * 60);
/// How long an authority may take to look at a challenge, or to sign.
const POLL_TIMEOUT: Duration = Duration::from_secs(2 * 60);
/// Longest pause between two looks at what is due.
const PAUSE_MAX: Duration = Duration::from_secs(60 * 60);
/// What an authority says of an account that it does not know.
const NO_ACCOUNT: &str = "urn:ietf:params:acme:error:accountDoesNotExist";

/// Asks an authority for certificates.
pub struct Acme {
    config: config::Acme,
    challenge: ChallengeKind,
    data: PathBuf,
    tls: Tls,
    client: Client,
    metrics: Arc<Metrics>,
}

/// Why there is no new certificate; it is tried again later.
#[derive(Debug, thiserror::Error)]
pub enum AcmeError {
    /// A file cannot be read or written.
    #[error("{}: {source}", path.display())]
    File {
        /// The file.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// The file with the authority's own certificate is not one.
    #[error("tls.acme.ca_file = {}: no certificate as PEM", .0.display())]
    Authority(PathBuf),
    /// The authority refuses, or cannot be reached.
    #[error("{0}")]
    Refused(#[from] instant_acme::Error),
    /// The authority looked and did not find the challenge.
    #[error("the authority could not see that the name leads here: {0}")]
    Unproved(String),
    /// The authority does not offer the configured challenge.
    #[error("the authority offers no such challenge")]
    NoChallenge,
    /// Too many challenges at a time.
    #[error("too many challenges")]
    Busy,
    /// A key or a request cannot be made.
    #[error("{0}")]
    Key(#[from] rcgen::Error),
    /// rustls cannot use the challenge's certificate.
    #[error("{0}")]
    Tls(#[from] rustls::Error),
    /// The authority took too long.
    #[error("no certificate within {} s", ORDER_TIMEOUT.as_secs())]
    Late,
}

/// The account as it is kept. An account belongs to one authority.
#[derive(Serialize, Deserialize)]
struct Kept {
    directory: String,
    credentials: AccountCredentials,
}

impl Acme {
    /// What asks for certificates, if the configuration names host names for it.
    ///
    /// # Errors
    /// When the directory for them cannot be made, or a file that the configuration names cannot be used.
    pub fn open(
        config: &config::Config,
        tls: &Tls,
        metrics: Arc<Metrics>,
    ) -> Result<Option<Self>, AcmeError> {
        let own = &config.tls.acme;
        if own.hosts.is_empty() {
            return Ok(None);
        }
        let dir = acme_directory(&config.data);
        fs::create_dir_all(&dir).map_err(|source| AcmeError::File { path: dir, source })?;
        Ok(Some(Self {
            config: own.clone(),
            challenge: config.tls.challenge(),
            data: config.data.clone(),
            tls: tls.clone(),
            client: Client::new(own.ca_file.as_deref())?,
            metrics,
        }))
    }

    /// Gets and renews certificates, one after the other, until `stop`.
    pub async fn keep_renewing(self: Arc<Self>, stop: CancellationToken) {
        let new = |host: &String| (host.clone(), Schedule::new(fastrand::f64()));
        let mut schedules: BTreeMap<String, Schedule> = self.config.hosts.iter().map(new).collect();
        let due = |host: &str, schedule: &Schedule| schedule.due_ms(self.tls.certificates.validity(host));
        loop {
            for (host, schedule) in &mut schedules {
                if due(host, schedule) > now_ms() {
                    continue;
                }
                tokio::select! {
                    () = stop.cancelled() => return,
                    renewed = self.renew(host) => self.note(host, schedule, renewed),
                }
            }
            let next = schedules.iter().map(|(host, schedule)| due(host, schedule)).min();
            let pause =
                next.map_or(0, |next| u64::try_from(next.saturating_sub(now_ms())).unwrap_or_default());
            let pause = Duration::from_millis(pause).min(PAUSE_MAX);
            if tokio::time::timeout(pause, stop.cancelled()).await.is_ok() {
                return;
            }
        }
    }

    fn note(&self, host: &str, schedule: &mut Schedule, renewed: Result<(), AcmeError>) {
        match renewed {
            Ok(()) => {
                self.metrics.acme_certificates.fetch_add(1, Ordering::Relaxed);
                schedule.succeeded();
                self.tls.certificates.note_refusal(host, None);
                tracing::info!(host, "a certificate was issued");
            }
            Err(error) => {
                self.metrics.acme_failures.fetch_add(1, Ordering::Relaxed);
                let pause = schedule.failed(now_ms(), self.config.retry.unsigned_abs());
                tracing::error!(host, %error, "no certificate; tried again in {} s", pause.as_secs());
                self.tls.certificates.note_refusal(host, Some(error.to_string()));
            }
        }
    }

    /// Gets a certificate and puts it into use.
    async fn renew(&self, host: &str) -> Result<(), AcmeError> {
        let asked = tokio::time::timeout(ORDER_TIMEOUT, self.ask(host));
        let text = asked.await.unwrap_or(Err(AcmeError::Late))?;
        let path = acme_file(&self.data, host);
        // One file, so that certificate and key change together.
        private_file::write(&path, text.as_bytes()).map_err(|source| AcmeError::File { path, source })?;
        self.tls.certificates.reload();
        Ok(())
    }

    /// A new certificate and its key, as PEM.
    async fn ask(&self, host: &str) -> Result<zeroize::Zeroizing<String>, AcmeError> {
        let account = self.account().await?;
        let names = [Identifier::Dns(host.to_owned())];
        let mut order = match account.new_order(&NewOrder::new(&names)).await {
            Ok(order) => order,
            Err(error) => {
                self.forget_account_after(&error);
                return Err(error.into());
            }
        };
        let answered = self.answer(&mut order, host).await?;
        let patience = RetryPolicy::default().timeout(POLL_TIMEOUT);
        let ready = order.poll_ready(&patience).await;
        drop(answered);
        if !matches!(ready, Ok(OrderStatus::Ready)) {
            return Err(unproved(&mut order, ready.err()).await);
        }
        let key = KeyPair::generate()?;
        let mut asked = CertificateParams::new([host.to_owned()])?;
        asked.distinguished_name = DistinguishedName::new();
        order.finalize_csr(asked.serialize_request(&key)?.der()).await?;
        let chain = order.poll_certificate(&patience).await?;
        let key = zeroize::Zeroizing::new(key.serialize_pem());
        Ok(zeroize::Zeroizing::new(format!("{}\n{}", chain.trim_end(), *key)))
    }

    /// Puts the answers where the authority looks for them, and tells it to. They are there as long as they are kept.
    async fn answer(&self, order: &mut Order, host: &str) -> Result<Vec<Answered>, AcmeError> {
        let kind = match self.challenge {
            ChallengeKind::Http01 => ChallengeType::Http01,
            ChallengeKind::TlsAlpn01 => ChallengeType::TlsAlpn01,
        };
        let mut answered = Vec::new();
        let mut asked = order.authorizations();
        while let Some(authorization) = asked.next().await {
            let mut authorization = authorization?;
            if authorization.status == AuthorizationStatus::Valid {
                continue;
            }
            let mut challenge = authorization.challenge(kind.clone()).ok_or(AcmeError::NoChallenge)?;
            let answer = challenge.key_authorization();
            let challenges = &self.tls.challenges;
            answered.push(match self.challenge {
                ChallengeKind::Http01 => challenges
                    .answer_token(&challenge.token, answer.as_str().to_owned())
                    .ok_or(AcmeError::Busy)?,
                ChallengeKind::TlsAlpn01 => {
                    challenges.answer_host(host, proof(host, answer.digest().as_ref())?)?
                }
            });
            challenge.set_ready().await?;
        }
        Ok(answered)
    }

    /// The account at the authority, made the first time.
    async fn account(&self) -> Result<Account, AcmeError> {
        let path = self.account_file();
        let kept = fs::read(&path).ok().and_then(|text| serde_json::from_slice::<Kept>(&text).ok());
        let builder = || Account::builder_with_http(Box::new(self.client.clone()));
        if let Some(kept) = kept
            && kept.directory == self.config.directory
        {
            return Ok(builder().from_credentials(kept.credentials).await?);
        }
        let contact = self.config.contact.as_ref().map(|address| format!("mailto:{address}"));
        let contact: Vec<&str> = contact.as_deref().into_iter().collect();
        let new = NewAccount {
            contact: &contact,
            terms_of_service_agreed: self.config.accept_terms,
            only_return_existing: false,
        };
        let directory = self.config.directory.clone();
        let (account, credentials) = builder().create(&new, directory.clone(), None).await?;
        let kept = serde_json::to_vec(&Kept { directory, credentials }).map_err(instant_acme::Error::from)?;
        private_file::write(&path, &kept).map_err(|source| AcmeError::File { path, source })?;
        Ok(account)
    }

    fn account_file(&self) -> PathBuf {
        acme_directory(&self.data).join(ACCOUNT_FILE)
    }

    /// An authority may have lost the account: the next attempt makes another.
    fn forget_account_after(&self, error: &instant_acme::Error) {
        if let instant_acme::Error::Api(problem) = error
            && problem.r#type.as_deref() == Some(NO_ACCOUNT)
        {
            forget(&self.account_file());
        }
    }
}

fn forget(path: &Path) {
    if let Err(error) = fs::remove_file(path) {
        tracing::warn!(%error, file = %path.display(), "a file cannot be removed");
    }
}

/// The certificate that proves a host over TLS (RFC 8737, 3).
fn proof(host: &str, digest: &[u8]) -> Result<CertifiedKey, AcmeError> {
    let key = KeyPair::generate()?;
    let mut params = CertificateParams::new([host.to_owned()])?;
    params.custom_extensions = vec![CustomExtension::new_acme_identifier(digest)];
    let certificate = params.self_signed(&key)?;
    let key = PrivateKeyDer::Pkcs8(PrivatePkcs8KeyDer::from(key.serialize_der()));
    // Not checked against each other: that refuses the extension, which must be critical.
    let key = provider().key_provider.load_private_key(key)?;
    Ok(CertifiedKey::new(vec![certificate.der().clone()], key))
}

/// Why an order did not become ready: what the authority says of its challenges, or else `error`.
async fn unproved(order: &mut Order, error: Option<instant_acme::Error>) -> AcmeError {
    let mut said = Vec::new();
    let mut asked = order.authorizations();
    while let Some(Ok(authorization)) = asked.next().await {
        let problems = authorization.challenges.iter().filter_map(|challenge| challenge.error.as_ref());
        said.extend(problems.map(ToString::to_string));
    }
    match error {
        Some(error) if said.is_empty() => error.into(),
        Some(_) | None => AcmeError::Unproved(said.join("; ")),
    }
}
