//! The visitor's address: found behind proxies, located, hashed, gone.
//!
//! What it is for: to find the client behind the proxies that the operator trusts, and to let nothing else
//! know it.
//! What it promises: headers are believed only from trusted peers and only up to the first hop that is not trusted;
//! the work per request is bounded by [`HEADER_BYTES_MAX`] and [`HOPS_MAX`].
//! What it refuses: to be printed, copied, compared or stored. There are three ways out of a [`ClientIp`]: a place, bytes
//! for a keyed hash, and a hash of its network block for rate limits, under a key that dies with the process.
//! Where the proof is: the tables below.
//!
//! A proxy must append to the header that is read or replace it. Read is the first of `X-Forwarded-For`, `Forwarded`
//! (RFC 7239) and `X-Real-IP` that is present, so a proxy that sets only one of the later ones must remove the
//! earlier ones from what it passes on.

use std::{
    borrow::Cow,
    fmt,
    net::{IpAddr, Ipv4Addr, Ipv6Addr},
};

use http::{HeaderMap, HeaderName, HeaderValue, header::FORWARDED};
use ipnet::IpNet;
use serde::{Deserialize, Deserializer, de};
use sotto_geoip::{GeoDb, Network, Place};
use sotto_schema::throttle::ClientBlock;

/// Maximum bytes of forwarding headers read, from the right. Anything further left is older and less trusted.
pub const HEADER_BYTES_MAX: usize = 4096;
/// How many hops are walked.
pub const HOPS_MAX: usize = 32;

/// The visitor's address. Alive from accept until the visitor key is made.
///
/// Has no `Debug`, `Display`, `Serialize` or `Clone`, so a struct that holds one cannot have them either.
pub struct ClientIp(IpAddr);

static_assertions::assert_not_impl_any!(ClientIp: fmt::Debug, fmt::Display, serde::Serialize, Clone, PartialEq);

/// The other end of a connection, on its way from the server to [`client_ip`].
///
/// Has no `Debug`, `Display` or `Serialize`. `Clone`, because a request's extensions ask for it.
#[derive(Clone, Copy)]
pub struct Peer(IpAddr);

static_assertions::assert_not_impl_any!(Peer: fmt::Debug, fmt::Display, serde::Serialize);

impl Peer {
    /// The other end of a connection.
    pub const fn new(address: IpAddr) -> Self {
        Self(address)
    }

    /// A program on this machine, such as a proxy.
    pub const LOOPBACK: Self = Self(IpAddr::V4(std::net::Ipv4Addr::LOCALHOST));
}

/// Where an address is, as far as the databases know.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Located {
    /// Country, region, city.
    pub place: Option<Place>,
    /// Autonomous system.
    pub network: Option<Network>,
}

impl ClientIp {
    /// The address of a directly connected peer. An IPv4-mapped IPv6 address is treated as IPv4.
    pub fn new(address: IpAddr) -> Self {
        Self(address.to_canonical())
    }

    /// The address that a sender with a token claims for a visitor.
    pub fn claimed(text: &str) -> Option<Self> {
        node(text).map(Self)
    }

    /// First way out: where the address is.
    pub fn locate(&self, geo: &GeoDb) -> Located {
        Located { place: geo.place(self.0), network: geo.network(self.0) }
    }

    /// Second way out: its bytes for a keyed hash, one byte of length (4 or 16) and then the whole address in
    /// network order. A network prefix would merge a whole household into one visitor.
    pub fn feed<T>(&self, keyed_hash: impl FnOnce(&[u8]) -> T) -> T {
        match self.0 {
            IpAddr::V4(v4) => {
                let [a, b, c, d] = v4.octets();
                keyed_hash(&[4, a, b, c, d])
            }
            IpAddr::V6(v6) => {
                let mut bytes = [16; 17];
                bytes[1..].copy_from_slice(&v6.octets());
                keyed_hash(&bytes)
            }
        }
    }

    /// Third way out: its network block, for rate limits. That is the address itself for IPv4 and the /64 for
    /// IPv6, all of which one household or machine can use.
    pub fn block(&self, key: &BlockKey) -> ClientBlock {
        let hash = match self.0 {
            IpAddr::V4(v4) => blake3::keyed_hash(&key.0, &v4.octets()),
            IpAddr::V6(v6) => blake3::keyed_hash(&key.0, &v6.octets()[..8]),
        };
        ClientBlock::new(hash.as_bytes().iter().take(8).fold(0, |n, b| n << 8 | u64::from(*b)))
    }

    /// Whether the address is not publicly routable. If every hit has such an address, a proxy is missing
    /// from the trusted ones; the data-quality page says so.
    pub fn is_private(&self) -> bool {
        sotto_geoip::is_private(self.0)
    }
}

/// Key for hashing address blocks. Random, and gone with the process.
pub struct BlockKey([u8; 32]);

static_assertions::assert_not_impl_any!(BlockKey: fmt::Debug, fmt::Display, serde::Serialize, Clone);

impl BlockKey {
    /// A random key.
    ///
    /// # Errors
    /// When the operating system has no randomness.
    pub fn random() -> std::io::Result<Self> {
        let mut key = [0; 32];
        getrandom::fill(&mut key).map_err(|e| std::io::Error::other(e.to_string()))?;
        Ok(Self(key))
    }
}

/// Networks trusted to report forwarded addresses.
///
/// In the configuration: a list of networks (`"203.0.113.0/24"`), addresses and the words `"loopback"` and
/// `"private"` (RFC 1918, unique local and link-local).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TrustedProxies(Vec<IpNet>);

impl TrustedProxies {
    /// Nobody is trusted.
    pub const NONE: Self = Self(Vec::new());

    /// Reads the entries of the configuration; the error names the first that is not understood.
    pub fn parse<S: AsRef<str>>(entries: &[S]) -> Result<Self, TrustedProxiesError> {
        let mut networks = Vec::new();
        for entry in entries {
            let entry = entry.as_ref();
            match entry {
                "loopback" => networks.extend(LOOPBACK),
                "private" => networks.extend(PRIVATE),
                _ => networks.push(network(entry).ok_or_else(|| TrustedProxiesError(entry.to_owned()))?),
            }
        }
        Ok(Self(networks))
    }

    fn contains(&self, address: IpAddr) -> bool {
        self.0.iter().any(|network| network.contains(&address))
    }
}

impl Default for TrustedProxies {
    /// Proxies on the same machine.
    fn default() -> Self {
        Self(LOOPBACK.to_vec())
    }
}

impl<'de> Deserialize<'de> for TrustedProxies {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Self::parse(&Vec::<String>::deserialize(deserializer)?).map_err(de::Error::custom)
    }
}

/// An entry of the configuration is not understood; the start stops.
#[derive(Debug, thiserror::Error)]
#[error(
    "{0:?} is no trusted proxy: give a network such as \"10.0.0.0/8\", an address, \"loopback\" or \"private\""
)]
pub struct TrustedProxiesError(String);

/// Who sent the request: `peer`, or, if that is a trusted proxy, the nearest hop that is not one.
///
/// A hop that cannot be read (`unknown`, obfuscated, garbage) ends the walk at the last address before it.
pub fn client_ip(peer: Peer, headers: &HeaderMap, trusted: &TrustedProxies) -> ClientIp {
    let mut nearest = peer.0.to_canonical();
    if !trusted.contains(nearest) {
        return ClientIp(nearest);
    }
    let mut advance = |hop: Option<IpAddr>| {
        let Some(address) = hop else { return Walk::Over };
        nearest = address;
        if trusted.contains(address) { Walk::On } else { Walk::Over }
    };
    if headers.contains_key(&X_FORWARDED_FOR) {
        walk_list(headers, &mut advance);
    } else if headers.contains_key(FORWARDED) {
        walk_forwarded(headers, &mut advance);
    } else if let Some(value) = headers.get_all(&X_REAL_IP).iter().next_back() {
        advance(value.to_str().ok().filter(|v| v.len() <= HEADER_BYTES_MAX).and_then(node));
    }
    ClientIp(nearest)
}

#[derive(PartialEq)]
enum Walk {
    On,
    Over,
}

/// `X-Forwarded-For: client, proxy, proxy`, on any number of lines.
fn walk_list(headers: &HeaderMap, advance: &mut impl FnMut(Option<IpAddr>) -> Walk) {
    let mut bytes_left = HEADER_BYTES_MAX;
    let mut hops_left = HOPS_MAX;
    for line in headers.get_all(&X_FORWARDED_FOR).iter().rev() {
        for hop in line.as_bytes().rsplit(|b| *b == b',') {
            let fits = hop.len() < bytes_left && hops_left > 0;
            if !fits || advance(std::str::from_utf8(hop).ok().and_then(node)) == Walk::Over {
                return;
            }
            bytes_left -= hop.len() + 1;
            hops_left -= 1;
        }
    }
}

/// `Forwarded: for=client;proto=https, for="[2001:db8::1]:4711"`, on any number of lines.
fn walk_forwarded(headers: &HeaderMap, advance: &mut impl FnMut(Option<IpAddr>) -> Walk) {
    let mut bytes_left = HEADER_BYTES_MAX;
    for line in headers.get_all(FORWARDED).iter().rev() {
        // Quotes can only be told apart from the left, so a line is read whole or not at all.
        let Some(elements) = elements(line, bytes_left) else { return };
        bytes_left -= line.len();
        for element in elements.into_iter().rev() {
            if advance(forwarded_for(element)) == Walk::Over {
                return;
            }
        }
    }
}

/// The comma-separated elements of a line; `None` if it is too long, has too many, or a quote stays open.
fn elements(line: &HeaderValue, bytes_max: usize) -> Option<Vec<&str>> {
    let line = line.to_str().ok().filter(|l| l.len() <= bytes_max)?;
    let elements: Vec<_> = unquoted_split(line, ',').collect::<Option<_>>()?;
    (elements.len() <= HOPS_MAX).then_some(elements)
}

/// The parts of `text` between separators outside quoted strings; a `None` at the end if a quote stays open.
fn unquoted_split(text: &str, separator: char) -> impl Iterator<Item = Option<&str>> {
    let mut rest = Some(text);
    std::iter::from_fn(move || {
        let whole = rest?;
        let (mut quoted, mut escaped) = (false, false);
        for (i, c) in whole.char_indices() {
            match c {
                _ if escaped => escaped = false,
                '\\' if quoted => escaped = true,
                '"' => quoted = !quoted,
                _ if c == separator && !quoted => {
                    rest = Some(&whole[i + 1..]);
                    return Some(Some(&whole[..i]));
                }
                _ => {}
            }
        }
        rest = None;
        Some((!quoted).then_some(whole))
    })
}

/// The address of the one `for` parameter of an element.
fn forwarded_for(element: &str) -> Option<IpAddr> {
    let mut found = None;
    for pair in unquoted_split(element, ';') {
        let (name, value) = pair?.split_once('=')?;
        if name.trim().eq_ignore_ascii_case("for") {
            if found.is_some() {
                return None;
            }
            found = Some(node(&unquote(value.trim()))?);
        }
    }
    found
}

fn unquote(value: &str) -> Cow<'_, str> {
    let Some(inner) = value.strip_prefix('"').and_then(|v| v.strip_suffix('"')) else {
        return Cow::Borrowed(value);
    };
    if !inner.contains('\\') {
        return Cow::Borrowed(inner);
    }
    let mut chars = inner.chars();
    let mut plain = String::new();
    while let Some(c) = chars.next() {
        plain.extend(if c == '\\' { chars.next() } else { Some(c) });
    }
    Cow::Owned(plain)
}

/// An address with or without port, brackets and zone; `None` for `unknown`, obfuscated names and nonsense.
fn node(text: &str) -> Option<IpAddr> {
    let text = text.trim_matches([' ', '\t']);
    let (address, port) = if let Some(rest) = text.strip_prefix('[') {
        let (address, rest) = rest.split_once(']')?;
        address.contains(':').then_some(())?;
        (address, if rest.is_empty() { None } else { Some(rest.strip_prefix(':')?) })
    } else if text.bytes().filter(|b| *b == b':').count() == 1 {
        let (address, port) = text.split_once(':')?;
        (address, Some(port))
    } else {
        (text, None)
    };
    if port.is_some_and(|p| !is_port(p)) {
        return None;
    }
    let address: IpAddr = match address.split_once('%') {
        Some((v6, zone)) if !zone.is_empty() => IpAddr::V6(v6.parse().ok()?),
        Some(_) => return None,
        None => address.parse().ok()?,
    };
    let address = address.to_canonical();
    (!address.is_unspecified()).then_some(address)
}

/// A port number, or a name beginning with `_` (RFC 7239, section 6.2).
fn is_port(text: &str) -> bool {
    match text.strip_prefix('_') {
        Some(name) => {
            !name.is_empty() && name.bytes().all(|b| b.is_ascii_alphanumeric() || b"._-".contains(&b))
        }
        None => text.bytes().all(|b| b.is_ascii_digit()) && text.parse::<u16>().is_ok(),
    }
}

fn network(text: &str) -> Option<IpNet> {
    let network =
        text.parse().or_else(|_| text.parse::<IpAddr>().map(|a| IpNet::from(a.to_canonical()))).ok()?;
    Some(IpNet::trunc(&network))
}

const X_FORWARDED_FOR: HeaderName = HeaderName::from_static("x-forwarded-for");
const X_REAL_IP: HeaderName = HeaderName::from_static("x-real-ip");

const LOOPBACK: [IpNet; 2] = [v4([127, 0, 0, 0], 8), v6(1, 0, 128)];
const PRIVATE: [IpNet; 6] = [
    v4([10, 0, 0, 0], 8),
    v4([172, 16, 0, 0], 12),
    v4([192, 168, 0, 0], 16),
    v4([169, 254, 0, 0], 16),
    v6(0, 0xfc00, 7),
    v6(0, 0xfe80, 10),
];

const fn v4(octets: [u8; 4], len: u8) -> IpNet {
    let [a, b, c, d] = octets;
    IpNet::V4(ipnet::Ipv4Net::new_assert(Ipv4Addr::new(a, b, c, d), len))
}

const fn v6(last: u16, first: u16, len: u8) -> IpNet {
    IpNet::V6(ipnet::Ipv6Net::new_assert(Ipv6Addr::new(first, 0, 0, 0, 0, 0, 0, last), len))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn trusted() -> TrustedProxies {
        TrustedProxies::parse(&["loopback", "private", "203.0.113.0/24", "2001:db8:ffff::/48"]).unwrap()
    }

    fn headers(lines: &[(&'static str, &str)]) -> HeaderMap {
        let mut map = HeaderMap::new();
        for (name, value) in lines {
            map.append(*name, HeaderValue::from_bytes(value.as_bytes()).unwrap());
        }
        map
    }

    #[track_caller]
    fn check(peer: &str, lines: &[(&'static str, &str)], expected: &str, why: &str) {
        let found = client_ip(Peer::new(peer.parse().unwrap()), &headers(lines), &trusted());
        assert_eq!(found.0, expected.parse::<IpAddr>().unwrap(), "{why}");
    }

    #[test]
    fn trusted_proxies_decide_the_client_address() {
        const X: &str = "x-forwarded-for";
        for (peer, value, expected, why) in [
            ("198.51.100.9", "192.0.2.1", "198.51.100.9", "an untrusted peer cannot speak for others"),
            ("10.0.0.2", "192.0.2.1", "192.0.2.1", "a trusted proxy is believed"),
            ("::ffff:10.0.0.2", "192.0.2.1", "192.0.2.1", "a mapped peer is the version 4 one"),
            (
                "10.0.0.2",
                "6.6.6.6, 192.0.2.1",
                "192.0.2.1",
                "what the client wrote itself is left of its address",
            ),
            ("10.0.0.2", "6.6.6.6, 192.0.2.1, 203.0.113.5", "192.0.2.1", "trusted hops are skipped"),
            (
                "10.0.0.2",
                "10.1.1.1, 192.0.2.1, 10.9.9.9",
                "192.0.2.1",
                "a claimed trusted hop does not lead past it",
            ),
            ("10.0.0.2", "10.1.1.1, 10.2.2.2", "10.1.1.1", "inside the trusted networks the first one asked"),
            ("10.0.0.2", "not-an-ip", "10.0.0.2", "garbage falls back to the peer"),
            ("10.0.0.2", "192.0.2.1, not-an-ip", "10.0.0.2", "nothing left of garbage is believed"),
            ("10.0.0.2", "192.0.2.1, unknown, 10.3.3.3", "10.3.3.3", "the last readable hop answers"),
            ("10.0.0.2", "", "10.0.0.2", "an empty header says nothing"),
            ("10.0.0.2", "192.0.2.1,", "10.0.0.2", "an empty hop is garbage"),
            ("10.0.0.2", " 192.0.2.1 ,\t10.0.0.3 ", "192.0.2.1", "blanks do not matter"),
            ("10.0.0.2", "192.0.2.1:4711", "192.0.2.1", "version 4 with port"),
            ("10.0.0.2", "192.0.2.1:99999", "10.0.0.2", "no such port"),
            ("10.0.0.2", "192.0.2.1:+80", "10.0.0.2", "no number"),
            ("10.0.0.2", "2001:db8::1", "2001:db8::1", "version 6"),
            ("10.0.0.2", "[2001:db8::1]", "2001:db8::1", "version 6 in brackets"),
            ("10.0.0.2", "[2001:db8::1]:443", "2001:db8::1", "version 6 with port"),
            ("10.0.0.2", "[2001:db8::1]443", "10.0.0.2", "no colon before the port"),
            ("10.0.0.2", "[2001:db8::1", "10.0.0.2", "open bracket"),
            ("10.0.0.2", "[192.0.2.1]", "10.0.0.2", "brackets are for version 6"),
            ("10.0.0.2", "2001:db8::7%eth0", "2001:db8::7", "a zone is of no interest"),
            ("10.0.0.2", "[2001:db8::7%25eth0]:80", "2001:db8::7", "nor in brackets"),
            ("10.0.0.2", "2001:db8::7%", "10.0.0.2", "an empty zone is garbage"),
            ("10.0.0.2", "192.0.2.1%eth0", "10.0.0.2", "version 4 has no zones"),
            ("10.0.0.2", "::ffff:192.0.2.1", "192.0.2.1", "mapped hops are version 4"),
            ("10.0.0.2", "192.0.2.1, ::ffff:203.0.113.5", "192.0.2.1", "mapped hops can be trusted"),
            ("10.0.0.2", "192.0.2.1, 2001:db8:ffff::5", "192.0.2.1", "version 6 hops can be trusted"),
            ("10.0.0.2", "0.0.0.0", "10.0.0.2", "nobody has this address"),
            ("10.0.0.2", "192.0.2.01", "10.0.0.2", "octal digits are garbage"),
            ("10.0.0.2", "3221225985", "10.0.0.2", "a number is no address"),
            ("10.0.0.2", "192.0.2.1\u{e9}", "10.0.0.2", "no ASCII"),
        ] {
            check(peer, &[(X, value)], expected, why);
        }
    }

    #[test]
    fn forwarded_is_read_like_its_elder() {
        const F: &str = "forwarded";
        for (value, expected, why) in [
            ("for=192.0.2.1", "192.0.2.1", "plain"),
            ("For=192.0.2.1;Proto=https;by=203.0.113.5", "192.0.2.1", "names in any case, other parameters"),
            ("for=6.6.6.6, for=192.0.2.1", "192.0.2.1", "spoofed first"),
            ("for=192.0.2.1, for=10.0.0.3", "192.0.2.1", "trusted last"),
            ("for=\"[2001:db8::1]:4711\"", "2001:db8::1", "quoted version 6 with port"),
            ("for=\"192.0.2.1:_port\"", "192.0.2.1", "obfuscated port"),
            ("for=192.0.2.1, for=_hidden", "10.0.0.2", "obfuscated node"),
            ("for=unknown", "10.0.0.2", "unknown node"),
            ("proto=https", "10.0.0.2", "no node"),
            ("for=192.0.2.1;for=6.6.6.6", "10.0.0.2", "two nodes in an element"),
            ("for=\"6.6.6.6, for=192.0.2.1", "10.0.0.2", "an open quote swallows what the proxy appended"),
            (
                "for=\"6.6.6.6\\\", for=7.7.7.7\", for=192.0.2.1",
                "192.0.2.1",
                "a comma in quotes separates nothing",
            ),
            ("for=\"192.0.2\\.1\"", "192.0.2.1", "escapes"),
            ("for", "10.0.0.2", "no value"),
        ] {
            check("10.0.0.2", &[(F, value)], expected, why);
        }
    }

    #[test]
    fn headers_on_several_lines_and_of_several_kinds_have_an_order() {
        const X: &str = "x-forwarded-for";
        for (lines, expected, why) in [
            (&[(X, "6.6.6.6"), (X, "192.0.2.1"), (X, "10.0.0.3")][..], "192.0.2.1", "lines are one list"),
            (
                &[("forwarded", "for=6.6.6.6"), (X, "192.0.2.1")],
                "192.0.2.1",
                "X-Forwarded-For before Forwarded",
            ),
            (
                &[("x-real-ip", "6.6.6.6"), ("forwarded", "for=192.0.2.1")],
                "192.0.2.1",
                "Forwarded before X-Real-IP",
            ),
            (&[("x-real-ip", "192.0.2.1")], "192.0.2.1", "X-Real-IP alone"),
            (&[("x-real-ip", "6.6.6.6"), ("x-real-ip", "192.0.2.1")], "192.0.2.1", "the last X-Real-IP"),
            (&[("x-real-ip", "192.0.2.1, 6.6.6.6")], "10.0.0.2", "X-Real-IP is no list"),
            (
                &[("cf-connecting-ip", "192.0.2.1"), ("true-client-ip", "192.0.2.1")],
                "10.0.0.2",
                "others are not read",
            ),
            (
                &[("forwarded", "for=192.0.2.1"), ("forwarded", "for=10.0.0.3")],
                "192.0.2.1",
                "Forwarded on two lines",
            ),
        ] {
            check("10.0.0.2", lines, expected, why);
        }
    }

    #[test]
    fn walk_ends_at_its_limits() {
        let hops = |n: usize| format!("192.0.2.1{}", ", 10.0.0.3".repeat(n));
        check(
            "10.0.0.2",
            &[("x-forwarded-for", &hops(HOPS_MAX - 1))],
            "192.0.2.1",
            "as many hops as allowed",
        );
        check("10.0.0.2", &[("x-forwarded-for", &hops(HOPS_MAX))], "10.0.0.3", "one more");
        let padded =
            |n: usize| format!("192.0.2.1,{}10.0.0.3", " ".repeat(n - "192.0.2.1,10.0.0.3".len() - 1));
        check(
            "10.0.0.2",
            &[("x-forwarded-for", &padded(HEADER_BYTES_MAX))],
            "192.0.2.1",
            "as long as allowed",
        );
        check("10.0.0.2", &[("x-forwarded-for", &padded(HEADER_BYTES_MAX + 1))], "10.0.0.3", "one more");
        let spoofed = format!("{}, 192.0.2.1", "6.6.6.6, ".repeat(10_000));
        check("10.0.0.2", &[("x-forwarded-for", &spoofed)], "192.0.2.1", "length on the left does no harm");
        let forwarded = |n: usize| format!("for=192.0.2.1{}", " ".repeat(n - "for=192.0.2.1".len()));
        check("10.0.0.2", &[("forwarded", &forwarded(HEADER_BYTES_MAX))], "192.0.2.1", "as long as allowed");
        check("10.0.0.2", &[("forwarded", &forwarded(HEADER_BYTES_MAX + 1))], "10.0.0.2", "one more");
    }

    #[test]
    fn hash_gets_the_same_bytes_for_an_address_in_any_clothes() {
        let bytes = |text: &str| ClientIp::new(text.parse().unwrap()).feed(<[u8]>::to_vec);
        assert_eq!(bytes("192.0.2.1"), [4, 192, 0, 2, 1]);
        assert_eq!(bytes("::ffff:192.0.2.1"), bytes("192.0.2.1"));
        let v6 = bytes("2001:db8::1");
        assert_eq!((v6.len(), v6[0], v6[1], v6[16]), (17, 16, 0x20, 1));
    }

    #[test]
    fn block_is_an_address_of_version_4_and_64_bits_of_version_6() {
        let key = BlockKey::random().unwrap();
        let block = |text: &str, key| ClientIp::claimed(text).unwrap().block(key);
        for (one, other, same) in [
            ("192.0.2.1", "192.0.2.1", true),
            ("192.0.2.1", "::ffff:192.0.2.1", true),
            ("192.0.2.1", "192.0.2.2", false),
            ("2001:db8:0:1::1", "2001:db8:0:1:ffff:ffff:ffff:ffff", true),
            ("2001:db8:0:1::1", "2001:db8:0:2::1", false),
        ] {
            assert!((block(one, &key) == block(other, &key)) == same, "{one} {other}");
        }
        let another = BlockKey::random().unwrap();
        assert!(block("192.0.2.1", &key) != block("192.0.2.1", &another), "each process has its own numbers");
    }

    #[test]
    fn configuration_takes_networks_addresses_and_words() {
        #[derive(Deserialize)]
        struct Config {
            trusted: TrustedProxies,
        }
        let parse = |list: &str| toml::from_str::<Config>(&format!("trusted = {list}")).map(|c| c.trusted);
        let proxies = parse(r#"["loopback", "198.51.100.7", "2001:db8::/32"]"#).unwrap();
        for (address, expected) in [
            ("127.0.0.1", true),
            ("::1", true),
            ("198.51.100.7", true),
            ("198.51.100.8", false),
            ("2001:db8::9", true),
            ("10.0.0.1", false),
        ] {
            assert_eq!(proxies.contains(address.parse().unwrap()), expected, "{address}");
        }
        assert_eq!(parse("[]").unwrap(), TrustedProxies::NONE);
        for bad in [r#"["everybody"]"#, r#"["10.0.0.0/33"]"#, r#"[""]"#, r#""loopback""#] {
            assert!(parse(bad).is_err(), "{bad}");
        }
        assert!(parse(r#"["everybody"]"#).unwrap_err().to_string().contains("everybody"));
    }

    proptest! {
        #[test]
        fn untrusted_peer_is_always_the_client(x in "[ -~]{0,200}", f in "[ -~]{0,200}") {
            let map = headers(&[("x-forwarded-for", &x), ("forwarded", &f), ("x-real-ip", &x)]);
            prop_assert!(client_ip(Peer::new("198.51.100.9".parse().unwrap()), &map, &trusted()).0.to_string() == "198.51.100.9");
        }

        #[test]
        fn nothing_on_the_left_changes_what_a_proxy_appended(left in "[ -~]{0,200}") {
            let map = headers(&[("x-forwarded-for", &format!("{left}, 192.0.2.1"))]);
            prop_assert!(client_ip(Peer::new("10.0.0.2".parse().unwrap()), &map, &trusted()).0.to_string() == "192.0.2.1");
        }
    }
}
