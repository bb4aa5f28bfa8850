//! How many requests a token, or a person, may send to the API. Each is counted once, when it is known who sent it; the
//! headers of every answer say how many are left (draft-ietf-httpapi-ratelimit-headers-07).

use std::{
    num::NonZeroU32,
    sync::{Arc, OnceLock},
    time::Duration,
};

use axum::{extract::Request, http::HeaderName, middleware::Next, response::Response};
use sotto_schema::throttle::{Limit, Throttle};

use super::refusal::Refusal;

/// How many requests a token, or a person, may send.
pub(super) const REQUESTS_MAX: Limit = Limit {
    most: NonZeroU32::new(3_000).expect("not zero"),
    window: Duration::from_secs(60 * 60),
    keys_max: 10_000,
};

/// Counts requests.
pub(crate) struct Allowance(Throttle<(bool, u64)>);

impl Default for Allowance {
    fn default() -> Self {
        Self(Throttle::new(REQUESTS_MAX))
    }
}

impl Allowance {
    /// Counts a request of this reader.
    ///
    /// # Errors
    /// When there were too many.
    pub(super) fn count(&self, reader: &(bool, u64), told: &Told) -> Result<(), Refusal> {
        let counted = self.0.count(reader);
        // One request has one reader.
        let _first = told.0.set(counted);
        counted.map(drop).map_err(Refusal::too_many)
    }
}

/// What the headers of the answer to one request say, once its reader is known: how many requests are left, or how long to
/// wait.
#[derive(Debug, Clone, Default)]
pub(super) struct Told(Arc<OnceLock<Result<u32, Duration>>>);

/// Lets requests be counted, and says in their answers how many are left.
pub(super) async fn tell(mut request: Request, next: Next) -> Response {
    let told = Told::default();
    request.extensions_mut().insert(told.clone());
    let mut response = next.run(request).await;
    let Some(counted) = told.0.get() else { return response };
    let (left, reset) = match counted {
        Ok(left) => (*left, refills_in(*left)),
        Err(wait) => (0, wait.as_secs() + 1),
    };
    for (name, value) in [
        ("ratelimit-limit", u64::from(REQUESTS_MAX.most.get())),
        ("ratelimit-remaining", u64::from(left)),
        ("ratelimit-reset", reset),
    ] {
        response.headers_mut().insert(HeaderName::from_static(name), value.into());
    }
    response
}

/// In how many seconds all requests may be sent again.
fn refills_in(left: u32) -> u64 {
    let sent = REQUESTS_MAX.most.get().saturating_sub(left);
    (REQUESTS_MAX.window / REQUESTS_MAX.most.get() * sent).as_secs() + 1
}

#[cfg(test)]
mod tests {
    use axum::response::IntoResponse;

    use super::*;

    #[test]
    fn request_beyond_the_limit_is_refused_with_the_time_to_wait_and_others_are_not() {
        let allowance = Allowance::default();
        let (token, other) = ((false, 1), (true, 1));
        for _ in 0..REQUESTS_MAX.most.get() {
            allowance.count(&token, &Told::default()).unwrap();
        }
        let told = Told::default();
        let answer = allowance.count(&token, &told).unwrap_err().into_response();
        assert_eq!(answer.status(), 429);
        assert!(answer.headers().contains_key("retry-after"));
        assert!(matches!(told.0.get(), Some(Err(_))));
        allowance.count(&other, &Told::default()).unwrap();
    }
}
