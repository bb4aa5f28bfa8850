//! One database file: opening it, detecting its layout, and lookups.
//!
//! The bytes are copied into an unlinked file next to the original and mapped from there. So pages that are
//! never read take no memory, and nobody can truncate the mapping: `cp new.mmdb old.mmdb` under a running
//! collector is harmless. Where no such copy can be made, the file is read into memory.

use std::{
    convert::Infallible,
    fs::File,
    io,
    net::IpAddr,
    path::{Path, PathBuf},
};

use compact_str::CompactString;
use maxminddb::{LookupResult, MaxMindDbError, Reader, WithinOptions};
use quick_cache::sync::Cache;
use serde::Deserialize;

use crate::{Network, Place, kind};

/// What is known about a loaded file, for the operator.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FileStatus {
    /// Where it was read from.
    pub path: PathBuf,
    /// What it answers.
    pub kind: FileKind,
    /// The name that the file gives itself.
    pub database_type: String,
    /// 4, or 6 when it holds both.
    pub ip_version: u16,
    /// When its maker built it, in seconds since 1970.
    pub build_epoch: u64,
    /// Nodes of its search tree.
    pub entries: u32,
    /// Its size.
    pub bytes: u64,
    /// The attribution that its licence requires, if its name identifies the licence.
    pub attribution: Option<Attribution>,
}

/// What a file answers, and in which layout.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum FileKind {
    /// Places, in the flat layout of `@ip-location-db`.
    PlaceFlat,
    /// Places, in the nested layout of MaxMind and DB-IP.
    PlaceNested,
    /// Networks.
    Network,
}

/// A link that a licence requires on every page that shows the data.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Attribution {
    /// The text of the link.
    pub text: &'static str,
    /// The address of the link.
    pub url: &'static str,
}

/// Why a file cannot be used. Its answers are missing until it is replaced; the others are not affected.
#[derive(Debug, thiserror::Error)]
pub enum FileError {
    /// It is not there or not readable.
    #[error("cannot be read")]
    Read(#[source] io::Error),
    /// It is truncated, or not a database at all.
    #[error("is not a valid database")]
    Format(#[source] MaxMindDbError),
    /// It is a database, but its records have neither places nor networks.
    #[error("has records of an unknown layout")]
    Layout,
}

/// A database file that is open.
pub(crate) struct DbFile {
    reader: Reader<Bytes>,
    status: FileStatus,
    /// Decoded records by their offset in the file, never by the address that led to them: a record covers a
    /// whole range of addresses, so the cache reveals nothing about who asked.
    places: Cache<usize, Option<Place>>,
    networks: Cache<usize, Option<Network>>,
}

/// Maximum number of decoded records cached per file: most visitors come from few places.
const DECODED_MAX: usize = 16_384;

impl DbFile {
    /// Opens the file and detects what it answers.
    pub(crate) fn open(path: &Path) -> Result<Self, FileError> {
        let bytes = Bytes::read(path).map_err(FileError::Read)?;
        let len = bytes.as_ref().len() as u64;
        let reader = Reader::from_source(bytes).map_err(FileError::Format)?;
        let kind = recognise(&reader)?;
        let meta = reader.metadata();
        let status = FileStatus {
            path: path.to_path_buf(),
            kind,
            database_type: meta.database_type.clone(),
            ip_version: meta.ip_version,
            build_epoch: meta.build_epoch,
            entries: meta.node_count,
            bytes: len,
            attribution: attribution(path, &meta.database_type),
        };
        let (places, networks) = (Cache::new(DECODED_MAX), Cache::new(DECODED_MAX));
        Ok(Self { reader, status, places, networks })
    }

    /// What is known about the file.
    pub(crate) fn status(&self) -> &FileStatus {
        &self.status
    }

    /// Whether the file has networks, not places.
    pub(crate) fn has_networks(&self) -> bool {
        self.status.kind == FileKind::Network
    }

    /// The place of `address`, which is neither private nor a mapped one.
    pub(crate) fn place(&self, address: IpAddr) -> Option<Place> {
        let found = self.reader.lookup(address).ok()?;
        self.places
            .get_or_insert_with(&found.offset()?, || Ok::<_, Infallible>(self.decode_place(&found)))
            .ok()?
    }

    fn decode_place(&self, found: &LookupResult<'_, Bytes>) -> Option<Place> {
        let place = match self.status.kind {
            FileKind::PlaceFlat => decode::<FlatPlace>(found)?.into_place(),
            FileKind::PlaceNested => decode::<NestedPlace>(found)?.into_place(),
            FileKind::Network => return None,
        };
        is_country(&place.country).then_some(place)
    }

    /// The network of `address`, which is neither private nor a mapped one.
    pub(crate) fn network(&self, address: IpAddr) -> Option<Network> {
        let found = self.reader.lookup(address).ok()?;
        self.networks
            .get_or_insert_with(&found.offset()?, || Ok::<_, Infallible>(decode_network(&found)))
            .ok()?
    }
}

fn decode_network(found: &LookupResult<'_, Bytes>) -> Option<Network> {
    let record = decode::<NetworkRecord>(found)?;
    let asn = record.autonomous_system_number.filter(|n| *n != 0)?;
    let name = record.autonomous_system_organization.unwrap_or_default();
    Some(Network { asn, name: name.into(), kind: kind::of(asn, name) })
}

/// Decodes the record found. One that cannot be decoded counts as missing.
fn decode<'a, T: Deserialize<'a>>(found: &LookupResult<'a, Bytes>) -> Option<T> {
    found.decode().ok()?
}

#[derive(Deserialize)]
struct FlatPlace<'a> {
    #[serde(borrow)]
    country_code: Option<&'a str>,
    state1: Option<&'a str>,
    city: Option<&'a str>,
}

impl FlatPlace<'_> {
    fn into_place(self) -> Place {
        Place {
            country: upper(self.country_code),
            region: self.state1.unwrap_or_default().into(),
            city: city(self.city),
        }
    }
}

#[derive(Deserialize)]
struct NestedPlace<'a> {
    #[serde(borrow)]
    country: Option<NestedCountry<'a>>,
    #[serde(default, borrow)]
    subdivisions: Subdivision<'a>,
    #[serde(borrow)]
    city: Option<Named<'a>>,
}

#[derive(Deserialize)]
struct NestedCountry<'a> {
    iso_code: Option<&'a str>,
}

#[derive(Deserialize)]
struct Named<'a> {
    #[serde(borrow)]
    names: Option<Names<'a>>,
}

#[derive(Deserialize)]
struct Names<'a> {
    en: Option<&'a str>,
}

/// The first of the list; the others are finer and not kept.
#[derive(Default)]
struct Subdivision<'a>(Option<&'a str>);

impl<'de: 'a, 'a> Deserialize<'de> for Subdivision<'a> {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct First;
        impl<'de> serde::de::Visitor<'de> for First {
            type Value = Subdivision<'de>;
            fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str("a list of subdivisions")
            }
            fn visit_seq<A: serde::de::SeqAccess<'de>>(self, mut seq: A) -> Result<Self::Value, A::Error> {
                let first: Option<Named<'de>> = seq.next_element()?;
                while seq.next_element::<serde::de::IgnoredAny>()?.is_some() {}
                Ok(Subdivision(first.and_then(|s| s.names).and_then(|n| n.en)))
            }
        }
        deserializer.deserialize_seq(First)
    }
}

impl NestedPlace<'_> {
    fn into_place(self) -> Place {
        Place {
            country: upper(self.country.and_then(|c| c.iso_code)),
            region: self.subdivisions.0.unwrap_or_default().into(),
            city: city(self.city.and_then(|c| c.names).and_then(|n| n.en)),
        }
    }
}

#[derive(Deserialize)]
struct NetworkRecord<'a> {
    autonomous_system_number: Option<u32>,
    #[serde(borrow)]
    autonomous_system_organization: Option<&'a str>,
}

/// The keys that distinguish the layouts.
#[derive(Deserialize)]
struct Probe {
    country_code: Option<serde::de::IgnoredAny>,
    country: Option<serde::de::IgnoredAny>,
    registered_country: Option<serde::de::IgnoredAny>,
    autonomous_system_number: Option<serde::de::IgnoredAny>,
}

/// Probes the first records, since the names that files give themselves follow no rule.
fn recognise(reader: &Reader<Bytes>) -> Result<FileKind, FileError> {
    let records = reader.networks(WithinOptions::default()).map_err(FileError::Format)?;
    for record in records.take(PROBED_RECORDS_MAX) {
        let record = record.map_err(FileError::Format)?;
        let Some(probe) = record.decode::<Probe>().map_err(FileError::Format)? else { continue };
        if probe.country_code.is_some() {
            return Ok(FileKind::PlaceFlat);
        }
        if probe.country.is_some() || probe.registered_country.is_some() {
            return Ok(FileKind::PlaceNested);
        }
        if probe.autonomous_system_number.is_some() {
            return Ok(FileKind::Network);
        }
    }
    Err(FileError::Layout)
}

fn upper(code: Option<&str>) -> CompactString {
    let mut code = CompactString::from(code.unwrap_or_default());
    code.make_ascii_uppercase();
    code
}

/// The city without its district: DB-IP writes `Berlin (Mitte)`, and nothing finer than a city is stored.
fn city(name: Option<&str>) -> CompactString {
    let name = name.unwrap_or_default();
    name.split_once(" (").map_or(name, |(city, _)| city).into()
}

/// `ZZ` stands for unknown in some files.
fn is_country(code: &str) -> bool {
    code.len() == 2 && code != "ZZ" && code.bytes().all(|b| b.is_ascii_uppercase())
}

/// The attribution that the licences of known databases require, by file name and by the type in the
/// metadata: the npm packages say `dbip` only in the file's name.
fn attribution(path: &Path, database_type: &str) -> Option<Attribution> {
    let file = path.file_name().unwrap_or_default().to_string_lossy();
    let name = format!("{file} {database_type}").to_ascii_lowercase();
    if name.contains("dbip") || name.contains("db-ip") {
        Some(Attribution { text: "IP Geolocation by DB-IP", url: "https://db-ip.com" })
    } else if name.contains("geolite") {
        Some(Attribution { text: "GeoLite2 data by MaxMind", url: "https://www.maxmind.com" })
    } else if name.contains("routeviews") {
        Some(Attribution { text: "Networks by RouteViews and DB-IP", url: "https://www.routeviews.org" })
    } else {
        None
    }
}

/// The bytes of a file that nobody else can change.
enum Bytes {
    Mapped(memmap2::Mmap),
    Owned(Vec<u8>),
}

impl Bytes {
    fn read(path: &Path) -> io::Result<Self> {
        let mut source = File::open(path)?;
        match Self::map_private_copy(path, &mut source) {
            Ok(bytes) => Ok(bytes),
            Err(_) => std::fs::read(path).map(Self::Owned),
        }
    }

    #[expect(unsafe_code, reason = "the only way to map a file; see the safety comment")]
    fn map_private_copy(path: &Path, source: &mut File) -> io::Result<Self> {
        let directory = path.parent().filter(|p| !p.as_os_str().is_empty()).unwrap_or(Path::new("."));
        let mut copy = tempfile::tempfile_in(directory)?;
        io::copy(source, &mut copy)?;
        // SAFETY: the file was made above, has no name, and its only descriptor is closed when this returns; so
        // nobody can write to or truncate what is mapped.
        unsafe { memmap2::Mmap::map(&copy) }.map(Self::Mapped)
    }
}

impl AsRef<[u8]> for Bytes {
    fn as_ref(&self) -> &[u8] {
        match self {
            Self::Mapped(map) => map,
            Self::Owned(bytes) => bytes,
        }
    }
}

/// How many records are probed to detect a layout; some files begin with empty ones.
const PROBED_RECORDS_MAX: usize = 256;
