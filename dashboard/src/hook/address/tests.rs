use super::*;

/// The first and last address of each network that is not public.
const NOT_PUBLIC: &[&str] = &[
    "0.0.0.0",
    "0.255.255.255",
    "10.0.0.0",
    "10.255.255.255",
    "100.64.0.0",
    "100.127.255.255",
    "127.0.0.1",
    "127.255.255.255",
    "168.63.129.16",
    "169.254.0.0",
    "169.254.169.254",
    "169.254.255.255",
    "172.16.0.0",
    "172.31.255.255",
    "192.0.0.0",
    "192.0.0.255",
    "192.0.2.1",
    "192.31.196.1",
    "192.52.193.1",
    "192.88.99.1",
    "192.168.0.0",
    "192.168.255.255",
    "198.18.0.0",
    "198.19.255.255",
    "198.51.100.1",
    "203.0.113.1",
    "224.0.0.0",
    "239.255.255.255",
    "240.0.0.0",
    "255.255.255.255",
    "::",
    "::1",
    "::ffff:127.0.0.1",
    "::ffff:10.0.0.1",
    "::127.0.0.1",
    "64:ff9b::127.0.0.1",
    "64:ff9b::169.254.169.254",
    "64:ff9b:1::1",
    "100::1",
    "2001::1",
    "2001:20::1",
    "2001:1ff:ffff::1",
    "2001:db8::1",
    "2002:7f00:1::",
    "2002:808:808::",
    "3fff::1",
    "3fff:fff:ffff::1",
    "5f00::1",
    "fc00::1",
    "fd00:ec2::254",
    "fe80::1",
    "fec0::1",
    "ff02::1",
    "4000::1",
    "1fff::1",
];

/// The neighbours of those networks.
const PUBLIC: &[&str] = &[
    "1.0.0.0",
    "9.255.255.255",
    "11.0.0.0",
    "100.63.255.255",
    "100.128.0.0",
    "126.255.255.255",
    "128.0.0.0",
    "168.63.129.15",
    "168.63.129.17",
    "169.253.255.255",
    "169.255.0.0",
    "172.15.255.255",
    "172.32.0.0",
    "192.0.1.0",
    "192.0.3.0",
    "192.167.255.255",
    "192.169.0.0",
    "198.17.255.255",
    "198.20.0.0",
    "203.0.114.0",
    "223.255.255.255",
    "::ffff:8.8.8.8",
    "64:ff9b::8.8.8.8",
    "2000::1",
    "2001:200::1",
    "2001:db7::1",
    "2001:db9::1",
    "2003::1",
    "2606:4700::1111",
    "3fff:1000::1",
    "3ffe::1",
];

#[test]
fn address_is_public_up_to_the_borders_of_every_network_that_is_not() {
    for (addresses, public) in [(NOT_PUBLIC, false), (PUBLIC, true)] {
        for text in addresses {
            assert_eq!(is_public(text.parse().unwrap()), public, "{text}");
        }
    }
}

#[test]
fn url_that_leads_elsewhere_than_it_seems_is_refused_when_it_is_typed() {
    for (typed, expected) in [
        ("https://hooks.example.org/a?b=c", None),
        ("https://8.8.8.8/", None),
        ("https://[2606:4700::1111]/", None),
        ("https://example.org:8443/", None),
        ("https://example.org:1024/", None),
        ("https://example.org:65535/", None),
        ("https://example.org:1023/", Some(Refusal::Port)),
        ("https://example.org:22/", Some(Refusal::Port)),
        ("https://example.org:80/", Some(Refusal::Port)),
        ("https://example.org:0/", Some(Refusal::Port)),
        ("http://example.org/", Some(Refusal::Scheme)),
        ("http://127.0.0.1:8000/", Some(Refusal::Scheme)),
        ("file:///etc/passwd", Some(Refusal::Scheme)),
        ("gopher://example.org/", Some(Refusal::Scheme)),
        ("javascript:alert(1)", Some(Refusal::Scheme)),
        ("example.org", Some(Refusal::NoUrl)),
        ("", Some(Refusal::NoUrl)),
        ("https://", Some(Refusal::NoUrl)),
        ("https://user@example.org/", Some(Refusal::User)),
        ("https://user:password@example.org/", Some(Refusal::User)),
        ("https://:password@example.org/", Some(Refusal::User)),
        ("https://example.org@127.0.0.1/", Some(Refusal::User)),
        ("https://example.org:443@127.0.0.1/", Some(Refusal::User)),
        // Browsers and we read a backslash as a slash: the host is what stands before it.
        (r"https://127.0.0.1\@example.org/", Some(Refusal::Private)),
        ("https://127.0.0.1/", Some(Refusal::Private)),
        ("https://127.1/", Some(Refusal::Private)),
        ("https://0/", Some(Refusal::Private)),
        ("https://2130706433/", Some(Refusal::Private)),
        ("https://0x7f000001/", Some(Refusal::Private)),
        ("https://0x7f.1/", Some(Refusal::Private)),
        ("https://0177.0.0.1/", Some(Refusal::Private)),
        ("https://127.0.0.1./", Some(Refusal::Private)),
        ("https://%31%32%37.0.0.1/", Some(Refusal::Private)),
        ("https://１２７.0.0.1/", Some(Refusal::Private)),
        ("https://169.254.169.254/latest/meta-data/", Some(Refusal::Private)),
        ("https://[::1]/", Some(Refusal::Private)),
        ("https://[::ffff:7f00:1]/", Some(Refusal::Private)),
        ("https://[fe80::1%25eth0]/", Some(Refusal::NoUrl)),
        ("https://[fe80::1%eth0]/", Some(Refusal::NoUrl)),
    ] {
        assert_eq!(Reach::Public.check(typed).err(), expected, "{typed}");
    }
    let of = |bytes: usize| format!("https://a.example/{}", "a".repeat(bytes - 18));
    assert!(Reach::Public.check(&of(URL_BYTES_MAX)).is_ok());
    assert_eq!(Reach::Public.check(&of(URL_BYTES_MAX + 1)).err(), Some(Refusal::TooLong));
}

#[test]
fn tests_reach_one_address_more_and_no_other() {
    assert!(Reach::Loopback.check("http://127.0.0.1:8000/").is_ok());
    for typed in ["http://127.0.0.2:8000/", "http://[::1]:8000/", "http://10.0.0.1:8000/"] {
        assert_eq!(Reach::Loopback.check(typed).err(), Some(Refusal::Private), "{typed}");
    }
}
