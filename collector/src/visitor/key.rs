//! The visitor key: the same for one visitor, site and day, and for nothing else.

use sotto_schema::id::{SiteId, VisitorKey};

use crate::visitor::{client_ip::ClientIp, salts::Salt};

/// The key: the first 64 bits of a keyed hash (BLAKE3) under the day's salt over the site, the address and
/// the user agent, each length-prefixed, so that no two different inputs have the same encoding. Never 0,
/// which means "no visitor".
pub fn visitor_key(salt: &Salt, site: SiteId, client: &ClientIp, user_agent: &str) -> VisitorKey {
    let hash = salt.hash(|hasher| {
        let mut part = |bytes: &[u8]| {
            hasher.update(&(bytes.len() as u64).to_le_bytes());
            hasher.update(bytes);
        };
        part(&site.0.to_le_bytes());
        client.feed(&mut part);
        part(user_agent.as_bytes());
    });
    let mut key = [0; 8];
    key.copy_from_slice(&hash.as_bytes()[..8]);
    VisitorKey(u64::from_le_bytes(key).max(1))
}
