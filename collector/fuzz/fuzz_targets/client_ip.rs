//! Forwarding headers: no bytes panic, and what a trusted proxy appended is what counts.
#![no_main]

use http::{HeaderMap, HeaderValue};
use libfuzzer_sys::fuzz_target;
use sotto_collector::visitor::client_ip::{Peer, TrustedProxies, client_ip};

fuzz_target!(|bytes: &[u8]| {
    let (kind, value) = bytes.split_first().unwrap_or((&0, &[]));
    let name = ["x-forwarded-for", "forwarded", "x-real-ip"][usize::from(*kind) % 3];
    let Ok(value) = HeaderValue::from_bytes(value) else { return };
    let trusted = TrustedProxies::parse(&["private"]).expect("words");
    let mut headers = HeaderMap::new();
    headers.append(name, value);
    let peer = |text: &str| Peer::new(text.parse().expect("address"));
    let same = |a: Peer, b: &str| assert!(client_ip(a, &headers, &trusted).feed(<[u8]>::to_vec) == octets(b));
    same(peer("198.51.100.9"), "198.51.100.9");
    let _ = client_ip(peer("10.0.0.2"), &headers, &trusted).is_private();
    headers.append("x-forwarded-for", HeaderValue::from_static("192.0.2.1"));
    assert!(client_ip(peer("10.0.0.2"), &headers, &trusted).feed(<[u8]>::to_vec) == octets("192.0.2.1"));
});

/// The bytes that a keyed hash would get.
fn octets(v4: &str) -> Vec<u8> {
    std::iter::once(4).chain(v4.split('.').filter_map(|n| n.parse().ok())).collect()
}
