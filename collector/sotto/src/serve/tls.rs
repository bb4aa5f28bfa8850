//! HTTPS without a proxy: the certificates, who renews them, and the plain listener beside it.

use std::{net::TcpListener, sync::Arc};

use sotto_collector::{
    acme::Acme,
    config::Config,
    http::{redirect::Redirect, server::Terms, tls::Tls},
    metrics::Metrics,
    supervise::{Part, Supervisor},
};
use tokio_util::sync::CancellationToken;

use super::listeners;
use crate::failure::Failure;

/// Reads the certificates; `None` where `listen` speaks plain HTTP.
pub fn open(config: &Config, metrics: Arc<Metrics>) -> Result<Option<Tls>, Failure> {
    if !config.tls.is_on() {
        return Ok(None);
    }
    let tls = Tls::open(config, metrics).map_err(|error| Failure::usage(format!("[tls] {error}")))?;
    Ok(Some(tls))
}

/// The terms of the public listener.
pub fn terms(config: &Config, tls: Option<&Tls>) -> Terms {
    Terms { limits: (&config.server).into(), tls: tls.cloned() }
}

/// Starts what goes with the public listener.
pub fn start(
    config: &Config,
    tls: &Tls,
    plain: Option<TcpListener>,
    metrics: Arc<Metrics>,
    supervisor: &Supervisor,
) -> Result<(), Failure> {
    if let Some(plain) = plain {
        let redirect = Redirect {
            certificates: tls.certificates.clone(),
            challenges: tls.challenges.clone(),
            hosts: config.https_hosts(),
            port: config.https_port(),
        };
        let terms = (&config.server).into();
        listeners::keep_serving(Part::Redirect, plain, redirect.service(), terms, supervisor);
    }
    let (tls, stop) = (tls.clone(), supervisor.stopping().clone());
    let interval = config.tls.reload_interval.unsigned_abs();
    if let Some(acme) =
        Acme::open(config, &tls, metrics).map_err(|error| Failure::usage(error.to_string()))?
    {
        let (acme, stop) = (Arc::new(acme), stop.clone());
        supervisor.keep(Part::Acme, move || acme.clone().keep_renewing(stop.clone()));
    }
    supervisor.keep(Part::Certificates, move || keep_reading(tls.clone(), interval, stop.clone()));
    Ok(())
}

/// Reads certificates that have changed, until `stop`.
async fn keep_reading(tls: Tls, interval: std::time::Duration, stop: CancellationToken) {
    while tokio::time::timeout(interval, stop.cancelled()).await.is_err() {
        let certificates = tls.certificates.clone();
        if let Err(error) = tokio::task::spawn_blocking(move || certificates.reload()).await {
            tracing::error!(%error, "certificates cannot be read");
        }
    }
}
