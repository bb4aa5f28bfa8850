//! How an authority is reached: over HTTPS, with the usual authorities trusted or only the configured one.

use std::{fs, path::Path, pin::Pin, time::Duration};

use bytes::Bytes;
use http::{Request, Response};
use http_body_util::{BodyExt as _, Full};
use instant_acme::{BodyWrapper, BytesResponse, Error, HttpClient};
use ureq::tls::{Certificate, PemItem, RootCerts, TlsConfig, parse_pem};

use super::AcmeError;

/// Time limit for one request.
const REQUEST_TIMEOUT: Duration = Duration::from_secs(30);
/// Largest answer, in bytes; a chain has about ten thousand.
const ANSWER_BYTES_MAX: u64 = 1 << 20;

/// Sends requests to an authority.
#[derive(Clone)]
pub(super) struct Client(ureq::Agent);

impl Client {
    pub(super) fn new(ca_file: Option<&Path>) -> Result<Self, AcmeError> {
        let roots = match ca_file {
            None => RootCerts::WebPki,
            Some(path) => {
                let text = fs::read(path).map_err(|source| AcmeError::File { path: path.into(), source })?;
                let found: Vec<Certificate<'static>> = parse_pem(&text)
                    .filter_map(|item| match item {
                        Ok(PemItem::Certificate(certificate)) => Some(certificate),
                        Ok(_) | Err(_) => None,
                    })
                    .collect();
                if found.is_empty() {
                    return Err(AcmeError::Authority(path.into()));
                }
                RootCerts::new_with_certs(&found)
            }
        };
        let agent = ureq::Agent::config_builder()
            .tls_config(TlsConfig::builder().root_certs(roots).build())
            .http_status_as_error(false)
            .https_only(true)
            .max_redirects(0)
            .timeout_global(Some(REQUEST_TIMEOUT))
            .build();
        Ok(Self(agent.into()))
    }
}

impl HttpClient for Client {
    fn request(
        &self,
        request: Request<BodyWrapper<Bytes>>,
    ) -> Pin<Box<dyn Future<Output = Result<BytesResponse, Error>> + Send>> {
        let agent = self.0.clone();
        Box::pin(async move {
            let (parts, body) = request.into_parts();
            let body = match body.collect().await {
                Ok(body) => body.to_bytes(),
                Err(never) => match never {},
            };
            let sent = tokio::task::spawn_blocking(move || send(&agent, Request::from_parts(parts, body)));
            let answer = sent.await.map_err(|error| Error::Other(error.into()))?;
            answer.map(BytesResponse::from).map_err(|error| Error::Other(error.into()))
        })
    }
}

fn send(agent: &ureq::Agent, request: Request<Bytes>) -> Result<Response<Full<Bytes>>, ureq::Error> {
    let mut answer = agent.run(request.map(|body| body.to_vec()))?;
    let body = answer.body_mut().with_config().limit(ANSWER_BYTES_MAX).read_to_vec()?;
    Ok(answer.map(|_| Full::new(Bytes::from(body))))
}
