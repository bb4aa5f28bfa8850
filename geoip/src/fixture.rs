//! Small databases for the tests of this crate.

use std::{collections::BTreeMap, fs::File, io::BufWriter, path::Path};

use ipnet::IpNet;
use maxminddb_writer::{Database, metadata::IpVersion};
use serde::Serialize;

/// The layouts that are found in the wild.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Layout {
    Flat,
    Nested,
}

/// Writes a database of (network, country, region, city).
pub(crate) fn places(path: &Path, layout: Layout, ip_version: u8, rows: &[(&str, &str, &str, &str)]) {
    let mut db = Database::default();
    db.metadata.ip_version = if ip_version == 6 { IpVersion::V6 } else { IpVersion::V4 };
    db.metadata.binary_format_major_version = 2;
    db.metadata.database_type = "Test-City".into();
    for (network, country, region, city) in rows {
        let record = match layout {
            Layout::Flat => db.insert_value(Flat { country_code: country, state1: region, state2: "", city }),
            Layout::Nested => db.insert_value(Nested {
                country: Country { geoname_id: 1, iso_code: &country.to_ascii_uppercase() },
                city: Named { names: names(city) },
                subdivisions: vec![Named { names: names(region) }, Named { names: names("finer") }],
            }),
        };
        db.insert_node(bits(network.parse().unwrap()), record.unwrap());
    }
    db.write_to(BufWriter::new(File::create(path).unwrap())).unwrap();
}

fn bits(network: IpNet) -> impl Iterator<Item = bool> {
    let (address, len) = match network {
        IpNet::V4(v4) => (u128::from(u32::from(v4.network())) << 96, v4.prefix_len()),
        IpNet::V6(v6) => (u128::from(v6.network()), v6.prefix_len()),
    };
    (0..len).map(move |i| address & 1 << (127 - i) != 0)
}

fn names(en: &str) -> BTreeMap<&'static str, &str> {
    BTreeMap::from([("de", "anders"), ("en", en), ("fr", "autre")])
}

#[derive(Serialize)]
struct Flat<'a> {
    country_code: &'a str,
    state1: &'a str,
    state2: &'a str,
    city: &'a str,
}

#[derive(Serialize)]
struct Nested<'a> {
    city: Named<'a>,
    country: Country<'a>,
    subdivisions: Vec<Named<'a>>,
}

#[derive(Serialize)]
struct Country<'a> {
    geoname_id: u32,
    iso_code: &'a str,
}

#[derive(Serialize)]
struct Named<'a> {
    names: BTreeMap<&'static str, &'a str>,
}
