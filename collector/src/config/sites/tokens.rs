//! The tokens that programs send, as the collector needs them: their hashes and what they may do, replaced as a whole.

use std::collections::HashMap;

use arc_swap::ArcSwap;
use http::{HeaderMap, header};
use sotto_schema::id::{SiteId, TokenId};
use sotto_store::account::{Bearer, Scope, secret_hash};

/// All tokens in force.
#[derive(Debug, Default)]
pub struct TokenBook {
    by_hash: ArcSwap<HashMap<[u8; 32], Bearer>>,
}

impl TokenBook {
    /// Puts these tokens in force.
    pub fn replace(&self, tokens: Vec<([u8; 32], Bearer)>) {
        self.by_hash.store(tokens.into_iter().collect::<HashMap<_, _>>().into());
    }

    /// What a token may do, if it is in force.
    pub fn find(&self, secret: &str) -> Option<Bearer> {
        self.by_hash.load().get(&secret_hash(secret)).copied().filter(Bearer::is_in_force)
    }

    /// Whether the token of this number is in force.
    pub fn is_in_force(&self, token: TokenId) -> bool {
        self.by_hash.load().values().any(|bearer| bearer.token == token && bearer.is_in_force())
    }

    /// What the token in `Authorization: Bearer …` may do (RFC 6750).
    pub fn of_headers(&self, headers: &HeaderMap) -> Option<Bearer> {
        self.find(secret_of(headers)?)
    }
}

/// The token in `Authorization: Bearer …`, whether it is in force or not.
pub fn secret_of(headers: &HeaderMap) -> Option<&str> {
    let value = headers.get(header::AUTHORIZATION)?.to_str().ok()?;
    let (scheme, secret) = value.split_once(' ')?;
    scheme.eq_ignore_ascii_case("bearer").then(|| secret.trim())
}

/// Names a token without its secret.
pub fn name_of(secret: &str) -> String {
    const_hex::encode(secret_hash(secret))
}

/// Whether a token is good for `site` and may send on behalf of visitors.
pub fn may_write(bearer: Option<Bearer>, site: SiteId) -> bool {
    covers(bearer, site) && bearer.is_some_and(|b| b.scope >= Scope::Write)
}

/// Whether a token is good for `site`.
pub fn covers(bearer: Option<Bearer>, site: SiteId) -> bool {
    bearer.is_some_and(|b| b.site.is_none() || b.site == site)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn token_is_read_from_its_header_only_in_its_form() {
        let book = TokenBook::default();
        let bearer = Bearer {
            token: TokenId(1),
            site: SiteId(7),
            scope: Scope::Write,
            expires_ms: i64::MAX,
            used: None,
        };
        book.replace(vec![(secret_hash("secret"), bearer)]);
        for (value, found) in [
            ("Bearer secret", true),
            ("bearer  secret ", true),
            ("Bearer other", false),
            ("Basic secret", false),
            ("secret", false),
            ("Bearer", false),
        ] {
            let mut headers = HeaderMap::new();
            headers.insert(header::AUTHORIZATION, value.parse().unwrap());
            assert_eq!(book.of_headers(&headers).is_some(), found, "{value:?}");
        }
    }

    #[test]
    fn token_is_good_for_its_site_and_scope_only() {
        for (site, scope, covered, writes) in [
            (0, Scope::Write, true, true),
            (7, Scope::Write, true, true),
            (8, Scope::Write, false, false),
            (7, Scope::Read, true, false),
        ] {
            let bearer = Some(Bearer {
                token: TokenId(1),
                site: SiteId(site),
                scope,
                expires_ms: i64::MAX,
                used: None,
            });
            assert_eq!(
                (covers(bearer, SiteId(7)), may_write(bearer, SiteId(7))),
                (covered, writes),
                "{bearer:?}"
            );
        }
        assert!(!covers(None, SiteId(7)));
    }
}
