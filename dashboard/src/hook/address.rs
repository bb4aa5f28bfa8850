//! Which addresses a message may go to: public ones.
//!
//! A name is looked up once, all of its addresses are checked, and the connection goes to those. A name that has one private
//! address is refused whole. How an address is written (`0x7f.1`, `2130706433`) does not matter: what is checked is what the
//! connection goes to.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use ureq::{
    config::Config,
    http::Uri,
    unversioned::{
        resolver::{ResolvedSocketAddrs, Resolver},
        transport::NextTimeout,
    },
};
use url::{Host, Url};

/// The longest address of a webhook, in bytes.
pub const URL_BYTES_MAX: usize = 2_000;
/// Ports below the first free one that a webhook may have.
const PORTS: [u16; 1] = [443];
/// The first port that needs no privilege; of those below, many belong to mail, databases and remote control.
const PORT_FREE_MIN: u16 = 1_024;

/// How far messages may go.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Reach {
    /// To public addresses over HTTPS.
    Public,
    /// To 127.0.0.1 too, and over HTTP: for tests. It does not exist in a release.
    #[cfg(debug_assertions)]
    Loopback,
}

/// Why a message does not go there. The messages are shown to people.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    /// It is no URL, or one without a host.
    #[error("a webhook is a URL like https://example.org/path")]
    NoUrl,
    /// It is too long.
    #[error("the URL of a webhook has at most {URL_BYTES_MAX} bytes")]
    TooLong,
    /// It is not encrypted.
    #[error("the URL of a webhook begins with https://")]
    Scheme,
    /// It has a user or a password.
    #[error("the URL of a webhook has no user and no password")]
    User,
    /// It has a port that is for something else.
    #[error("the port of a webhook is 443, or 1024 or more")]
    Port,
    /// It leads into a private network.
    #[error("the address is not a public one")]
    Private,
}

impl Reach {
    /// How far messages of this program may go.
    pub const fn of_build() -> Self {
        #[cfg(debug_assertions)]
        let reach = Self::Loopback;
        #[cfg(not(debug_assertions))]
        let reach = Self::Public;
        reach
    }

    const fn has_loopback(self) -> bool {
        match self {
            Self::Public => false,
            #[cfg(debug_assertions)]
            Self::Loopback => true,
        }
    }

    /// Checks a URL that somebody typed. What its name leads to is checked each time that a message goes there.
    ///
    /// # Errors
    /// When no message may go there.
    pub fn check(self, typed: &str) -> Result<Url, Refusal> {
        if typed.len() > URL_BYTES_MAX {
            return Err(Refusal::TooLong);
        }
        let mut url = Url::parse(typed).map_err(|_| Refusal::NoUrl)?;
        let encrypted = url.scheme() == "https";
        if !(encrypted || url.scheme() == "http" && self.has_loopback()) {
            return Err(Refusal::Scheme);
        }
        if !url.username().is_empty() || url.password().is_some() {
            return Err(Refusal::User);
        }
        let port = url.port_or_known_default().ok_or(Refusal::Port)?;
        if port < PORT_FREE_MIN && !PORTS.contains(&port) {
            return Err(Refusal::Port);
        }
        let may = match url.host().ok_or(Refusal::NoUrl)? {
            Host::Domain(_) => true,
            Host::Ipv4(address) => self.has(address.into()),
            Host::Ipv6(address) => self.has(address.into()),
        };
        url.set_fragment(None);
        if may { Ok(url) } else { Err(Refusal::Private) }
    }

    fn has(self, address: IpAddr) -> bool {
        is_public(address) || (self.has_loopback() && address == IpAddr::V4(Ipv4Addr::LOCALHOST))
    }
}

/// Looks names up with another resolver, and gives what it finds if all of it may be reached.
#[derive(Debug)]
pub(super) struct Checked<R> {
    pub(super) names: R,
    pub(super) reach: Reach,
}

impl<R: Resolver> Resolver for Checked<R> {
    fn resolve(
        &self,
        uri: &Uri,
        config: &Config,
        timeout: NextTimeout,
    ) -> Result<ResolvedSocketAddrs, ureq::Error> {
        let found = self.names.resolve(uri, config, timeout)?;
        if found.iter().all(|place| self.reach.has(place.ip())) {
            Ok(found)
        } else {
            Err(ureq::Error::Other(Box::new(Refusal::Private)))
        }
    }
}

/// Networks of IPv4 that are not public (IANA's registry of special-purpose addresses), with the length of their prefix.
const PRIVATE_V4: [(Ipv4Addr, u32); 17] = [
    (Ipv4Addr::new(0, 0, 0, 0), 8),
    (Ipv4Addr::new(10, 0, 0, 0), 8),
    (Ipv4Addr::new(100, 64, 0, 0), 10),
    (Ipv4Addr::new(127, 0, 0, 0), 8),
    // A provider's own services, which look public from its machines.
    (Ipv4Addr::new(168, 63, 129, 16), 32),
    (Ipv4Addr::new(169, 254, 0, 0), 16),
    (Ipv4Addr::new(172, 16, 0, 0), 12),
    (Ipv4Addr::new(192, 0, 0, 0), 24),
    (Ipv4Addr::new(192, 0, 2, 0), 24),
    (Ipv4Addr::new(192, 31, 196, 0), 24),
    (Ipv4Addr::new(192, 52, 193, 0), 24),
    (Ipv4Addr::new(192, 88, 99, 0), 24),
    (Ipv4Addr::new(192, 168, 0, 0), 16),
    (Ipv4Addr::new(198, 18, 0, 0), 15),
    (Ipv4Addr::new(198, 51, 100, 0), 24),
    (Ipv4Addr::new(203, 0, 113, 0), 24),
    // Multicast, and all that is reserved.
    (Ipv4Addr::new(224, 0, 0, 0), 3),
];

/// What IPv6 has allotted to the public, and what of it is not public: Teredo and others, documentation, 6to4, and
/// documentation again.
const PUBLIC_V6: (Ipv6Addr, u32) = (Ipv6Addr::new(0x2000, 0, 0, 0, 0, 0, 0, 0), 3);
const PRIVATE_V6: [(Ipv6Addr, u32); 4] = [
    (Ipv6Addr::new(0x2001, 0, 0, 0, 0, 0, 0, 0), 23),
    (Ipv6Addr::new(0x2001, 0xdb8, 0, 0, 0, 0, 0, 0), 32),
    (Ipv6Addr::new(0x2002, 0, 0, 0, 0, 0, 0, 0), 16),
    (Ipv6Addr::new(0x3fff, 0, 0, 0, 0, 0, 0, 0), 20),
];
/// Where NAT64 has the addresses of IPv4 (RFC 6052).
const NAT64: (Ipv6Addr, u32) = (Ipv6Addr::new(0x64, 0xff9b, 0, 0, 0, 0, 0, 0), 96);

/// Whether an address is one of the public network. What carries an address of IPv4 is what that is.
fn is_public(address: IpAddr) -> bool {
    match address {
        IpAddr::V4(address) => {
            let bits = u32::from(address);
            !PRIVATE_V4.iter().any(|(net, length)| (bits ^ u32::from(*net)) >> (32 - length) == 0)
        }
        IpAddr::V6(address) => {
            let bits = u128::from(address);
            let within = |(net, length): &(Ipv6Addr, u32)| (bits ^ u128::from(*net)) >> (128 - length) == 0;
            if let Some(inner) = address.to_ipv4_mapped() {
                return is_public(inner.into());
            }
            if within(&NAT64) {
                return is_public(Ipv4Addr::from((bits & u128::from(u32::MAX)) as u32).into());
            }
            within(&PUBLIC_V6) && !PRIVATE_V6.iter().any(within)
        }
    }
}

#[cfg(test)]
mod tests;
