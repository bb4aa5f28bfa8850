//! The listening addresses, bound before anything slow: a port that is taken should be reported at once.

use std::net::TcpListener;

use sotto_collector::{
    config::Config,
    http::{
        server::{self, Terms},
        stack::Answer,
    },
    supervise::{Part, Supervisor},
};

use crate::failure::Failure;

/// The listeners, bound.
pub struct Listeners {
    /// Collector and dashboard.
    pub public: TcpListener,
    /// Health and metrics.
    pub admin: TcpListener,
    /// Plain HTTP beside HTTPS.
    pub redirect: Option<TcpListener>,
}

impl Listeners {
    /// Binds what `config` names. The returned configuration has the ports assigned for port 0.
    pub fn bind(config: Config) -> Result<(Config, Self), Failure> {
        let public = server::listen_alone(config.listen).map_err(|e| taken("listen", config.listen, &e))?;
        let admin = server::listen_alone(config.admin_listen)
            .map_err(|e| taken("admin_listen", config.admin_listen, &e))?;
        let http = config.tls.http_listen;
        let redirect = http
            .map(|http| server::listen_alone(http).map_err(|e| taken("tls.http_listen", http, &e)))
            .transpose()?;
        let config = Config { listen: public.local_addr()?, admin_listen: admin.local_addr()?, ..config };
        Ok((config, Self { public, admin, redirect }))
    }
}

/// The error for an address that cannot listen on this address.
pub fn taken(key: &str, address: impl std::fmt::Display, error: &std::io::Error) -> Failure {
    Failure::failed(format!(
        "{key} = {address}: {error}; stop what listens there, or choose another in sotto.toml"
    ))
}

/// Serves a listener until the supervisor stops. Whatever happens to the task, the socket stays open.
pub fn keep_serving(
    part: Part,
    listener: TcpListener,
    service: impl Answer,
    terms: Terms,
    supervisor: &Supervisor,
) {
    let stop = supervisor.stopping().clone();
    supervisor.keep(part, move || {
        let (listener, service, stop) = (listener.try_clone(), service.clone(), stop.clone());
        let terms = terms.clone();
        async move {
            match listener.and_then(tokio::net::TcpListener::from_std) {
                Ok(listener) => server::serve(listener, service, terms, stop).await,
                Err(error) => tracing::error!(%error, task = part.name(), "cannot listen on this address"),
            }
        }
    });
}
