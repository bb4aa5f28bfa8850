//! Builds a database of networks from CSV, for `sotto geoip build-asn`.
//!
//! Input: lines `first,last,number,name` with inclusive ranges, as in the npm package `@ip-location-db/asn`
//! (RouteViews and DB-IP, CC BY 4.0). Addresses are dotted or plain numbers. Both families may be mixed.

use std::{
    collections::HashMap,
    io::{self, BufRead, BufReader, BufWriter, Read, Write},
    net::IpAddr,
    path::{Path, PathBuf},
};

use maxminddb_writer::{Database, metadata::IpVersion};
use serde::Serialize;

/// Why no database was built. The output file is unchanged.
#[derive(Debug, thiserror::Error)]
pub enum BuildError {
    /// A line does not have the expected format; nothing is guessed.
    #[error("line {line} of input {input} is not `first,last,number,name`")]
    Line {
        /// Which reader, from 1.
        input: usize,
        /// Which line, from 1.
        line: usize,
    },
    /// Reading an input failed.
    #[error("input {input} cannot be read")]
    Read {
        /// Which reader, from 1.
        input: usize,
        /// What happened.
        #[source]
        source: io::Error,
    },
    /// A name cannot be stored, or the tree grew too large.
    #[error("the database cannot be encoded")]
    Encode(#[source] maxminddb_writer::Error),
    /// Writing failed, or renaming the finished file.
    #[error("{path} cannot be written", path = path.display())]
    Write {
        /// The output.
        path: PathBuf,
        /// What happened.
        #[source]
        source: io::Error,
    },
}

/// What was built.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Built {
    /// Ranges read.
    pub ranges: usize,
    /// Networks (prefixes) they were cut into.
    pub prefixes: usize,
    /// Distinct operators.
    pub operators: usize,
}

/// Reads the CSV files and writes one database of both address families to `out`, via a temporary file next
/// to it that is renamed. `build_epoch` is stored as the build time, in seconds since 1970.
pub fn write_mmdb<R: Read>(
    inputs: impl IntoIterator<Item = R>,
    out: &Path,
    build_epoch: u64,
) -> Result<Built, BuildError> {
    let mut table = Table::default();
    for (i, reader) in inputs.into_iter().enumerate() {
        table.read_csv(reader, i + 1)?;
    }
    let mut db = Database::default();
    db.metadata.ip_version = IpVersion::V6;
    db.metadata.database_type = "Sotto-ASN (RouteViews, DB-IP)".into();
    db.metadata.binary_format_major_version = 2;
    db.metadata.build_epoch = build_epoch;
    let records = table
        .operators
        .iter()
        .map(|(number, name)| {
            let record = Record { autonomous_system_number: *number, autonomous_system_organization: name };
            db.insert_value(record)
        })
        .collect::<Result<Vec<_>, _>>()
        .map_err(BuildError::Encode)?;
    let mut prefixes = 0;
    for range in &table.ranges {
        for prefix in range.prefixes() {
            db.insert_node(prefix.bits(), records[range.operator]);
            prefixes += 1;
        }
    }
    save(&db, out)?;
    Ok(Built { ranges: table.ranges.len(), prefixes, operators: records.len() })
}

#[derive(Serialize)]
struct Record<'a> {
    autonomous_system_number: u32,
    autonomous_system_organization: &'a str,
}

/// The contents of the CSV files, each operator once.
#[derive(Default)]
struct Table {
    operators: Vec<(u32, String)>,
    by_operator: HashMap<(u32, String), usize>,
    ranges: Vec<Range>,
}

/// An inclusive range of addresses in the IPv6 space, where IPv4 is `::/96` as the format requires.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Range {
    first: u128,
    last: u128,
    operator: usize,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Prefix {
    first: u128,
    len: u32,
}

impl Table {
    fn read_csv<R: Read>(&mut self, reader: R, input: usize) -> Result<(), BuildError> {
        for (i, line) in BufReader::new(reader.take(CSV_BYTES_MAX)).lines().enumerate() {
            let line = line.map_err(|source| BuildError::Read { input, source })?;
            if line.trim().is_empty() {
                continue;
            }
            let row = row(&line).ok_or(BuildError::Line { input, line: i + 1 })?;
            let key = (row.number, row.name);
            let operator = *self.by_operator.entry(key).or_insert_with_key(|key| {
                self.operators.push(key.clone());
                self.operators.len() - 1
            });
            self.ranges.push(Range { first: row.first, last: row.last, operator });
        }
        Ok(())
    }
}

struct Row {
    first: u128,
    last: u128,
    number: u32,
    name: String,
}

fn row(line: &str) -> Option<Row> {
    let mut fields = line.trim_end().splitn(4, ',');
    let (first, last) = (fields.next()?, fields.next()?);
    let (first, last) = (position(first)?, position(last)?);
    let number = fields.next()?.parse().ok()?;
    let name = fields.next()?;
    let name = match name.strip_prefix('"') {
        Some(quoted) => quoted.strip_suffix('"')?.replace("\"\"", "\""),
        None => name.to_owned(),
    };
    (first <= last).then_some(Row { first, last, number, name })
}

/// An address, dotted, with colons or as a plain number. Plain numbers below 2^32 are IPv4: no IPv6 range of
/// the data begins there.
fn position(text: &str) -> Option<u128> {
    if let Ok(number) = text.parse::<u128>() {
        return Some(number);
    }
    Some(match text.parse().ok()? {
        IpAddr::V4(v4) => u128::from(u32::from(v4)),
        IpAddr::V6(v6) => u128::from(v6),
    })
}

impl Range {
    /// The fewest prefixes that make up the range.
    fn prefixes(self) -> impl Iterator<Item = Prefix> {
        let mut next = Some(self.first);
        std::iter::from_fn(move || {
            let first = next?;
            let mut free = first.trailing_zeros().min(128);
            while free > 0
                && (free == 128 && self.last != u128::MAX
                    || free < 128 && self.last - first < (1 << free) - 1)
            {
                free -= 1;
            }
            let last = if free == 128 { u128::MAX } else { first + ((1 << free) - 1) };
            next = if last >= self.last { None } else { Some(last + 1) };
            Some(Prefix { first, len: 128 - free })
        })
    }
}

impl Prefix {
    fn bits(self) -> impl Iterator<Item = bool> {
        (0..self.len).map(move |i| self.first & 1 << (127 - i) != 0)
    }
}

fn save(db: &Database, out: &Path) -> Result<(), BuildError> {
    let failed = |source| BuildError::Write { path: out.to_path_buf(), source };
    let directory = out.parent().filter(|p| !p.as_os_str().is_empty()).unwrap_or(Path::new("."));
    let mut file = tempfile::NamedTempFile::new_in(directory).map_err(failed)?;
    let mut writer = db.write_to(BufWriter::new(&mut file)).map_err(BuildError::Encode)?;
    writer.flush().map_err(failed)?;
    drop(writer);
    file.as_file().sync_all().map_err(failed)?;
    file.persist(out).map_err(|e| failed(e.error))?;
    Ok(())
}

/// The longest input that is read; the files of 2026 have 24 MB.
const CSV_BYTES_MAX: u64 = 1 << 30;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn range_is_cut_into_the_fewest_prefixes() {
        for (first, last, expected) in [
            (0, 0, vec![(0, 128)]),
            (0, u128::MAX, vec![(0, 0)]),
            (1, u128::MAX, (0..128).map(|i| (1 << i, 128 - i)).collect()),
            (256, 511, vec![(256, 120)]),
            (255, 512, vec![(255, 128), (256, 120), (512, 128)]),
            (u128::MAX, u128::MAX, vec![(u128::MAX, 128)]),
            (6, 9, vec![(6, 127), (8, 127)]),
        ] {
            let range = Range { first, last, operator: 0 };
            let found: Vec<_> = range.prefixes().map(|p| (p.first, p.len)).collect();
            assert_eq!(found, expected, "{first}..={last}");
        }
    }

    #[test]
    fn line_that_is_not_understood_is_named_and_leaves_no_file() {
        let dir = tempfile::tempdir().unwrap();
        let out = dir.path().join("asn.mmdb");
        for bad in [
            "192.0.2.0,192.0.2.255,x,Name",
            "192.0.2.0,192.0.2.255,1",
            "192.0.2.9,192.0.2.1,1,Name",
            "192.0.2.x,192.0.2.1,1,Name",
            "192.0.2.0,192.0.2.1,1,\"Name",
        ] {
            let csv = format!("198.51.100.0,198.51.100.1,1,Good\n{bad}\n");
            let error = write_mmdb([csv.as_bytes()], &out, 0).unwrap_err();
            assert!(matches!(error, BuildError::Line { input: 1, line: 2 }), "{bad}: {error}");
            assert_eq!(std::fs::read_dir(dir.path()).unwrap().count(), 0);
        }
    }

    #[test]
    fn both_families_and_all_spellings_are_found_again() {
        let dir = tempfile::tempdir().unwrap();
        let out = dir.path().join("asn.mmdb");
        let v4 = "192.0.2.0,192.0.2.9,64500,\"Example, \"\"Net\"\"\"\n3325256704,3325256704,64501,Numbers\n";
        let v6 = "2001:db8::,2001:db8:0:ffff:ffff:ffff:ffff:ffff,64502,Six\n";
        let built = write_mmdb([v4.as_bytes(), v6.as_bytes()], &out, 7).unwrap();
        assert_eq!(built, Built { ranges: 3, prefixes: 4, operators: 3 });
        let (db, errors) = crate::GeoDb::open(&[out]);
        assert!(errors.is_empty(), "{errors:?}");
        assert_eq!(db.status()[0].build_epoch, 7);
        for (address, expected) in [
            ("192.0.2.9", Some((64500, "Example, \"Net\""))),
            ("192.0.2.10", None),
            ("198.51.100.0", Some((64501, "Numbers"))),
            ("2001:db8:0:1::1", Some((64502, "Six"))),
            ("2001:db9::1", None),
        ] {
            let found = db.network(address.parse().unwrap()).map(|n| (n.asn, n.name));
            assert_eq!(found, expected.map(|(n, name)| (n, name.into())), "{address}");
        }
    }
}
