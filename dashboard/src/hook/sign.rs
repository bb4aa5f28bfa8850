//! The signature of a message: `v1` of Standard Webhooks, HMAC-SHA256 (RFC 2104) of its id, time and body.

use base64ct::{Base64, Encoding as _};
use sha2::{Digest as _, Sha256};

/// Length of a block of SHA-256, and the longest key that needs no hashing.
const BLOCK_BYTES: usize = 64;
/// What a secret begins with, so that people know what it is for.
const SECRET_PREFIX: &str = "whsec_";

/// A secret as people are shown it.
pub fn shown(secret: &[u8; 32]) -> String {
    [SECRET_PREFIX, &Base64::encode_string(secret)].concat()
}

/// The header `webhook-signature`. `time_s` is in seconds since 1970-01-01 UTC.
pub fn signature(secret: &[u8; 32], id: &str, time_s: i64, body: &str) -> String {
    let text = [id, ".", &time_s.to_string(), ".", body].concat();
    ["v1,", &Base64::encode_string(&hmac(secret, text.as_bytes()))].concat()
}

/// HMAC-SHA256 with a key of at most one block.
fn hmac(key: &[u8], text: &[u8]) -> [u8; 32] {
    debug_assert!(key.len() <= BLOCK_BYTES);
    let padded = |with: u8| -> [u8; BLOCK_BYTES] {
        std::array::from_fn(|n| key.get(n).copied().unwrap_or_default() ^ with)
    };
    let inner = Sha256::new().chain_update(padded(0x36)).chain_update(text).finalize();
    Sha256::new().chain_update(padded(0x5c)).chain_update(inner).finalize().into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn code_is_that_of_the_standard_and_of_the_libraries_of_others() {
        // RFC 4231, test case 2.
        assert_eq!(
            hmac(b"Jefe", b"what do ya want for nothing?")[..8],
            [0x5b, 0xdc, 0xc1, 0x46, 0xbf, 0x60, 0x75, 0x4e]
        );
        // Made with Python's hmac and the key of the examples of Standard Webhooks.
        let key = Base64::decode_vec("MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw").unwrap();
        let text = br#"msg_p5jXN8AQM9LWM0D4loKWxJek.1614265330.{"test": 2432232314}"#;
        assert_eq!(Base64::encode_string(&hmac(&key, text)), "g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=");
    }

    #[test]
    fn signature_is_another_when_anything_is_another() {
        let of = |secret: u8, id: &str, time, body: &str| signature(&[secret; 32], id, time, body);
        let good = of(1, "a", 2, "b");
        assert!(good.starts_with("v1,") && good.len() == 3 + 44, "{good}");
        for other in [of(2, "a", 2, "b"), of(1, "b", 2, "b"), of(1, "a", 3, "b"), of(1, "a", 2, "c")] {
            assert_ne!(other, good);
        }
        assert_eq!(shown(&[0; 32]), format!("whsec_{}=", "A".repeat(43)));
    }
}
