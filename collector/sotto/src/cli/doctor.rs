//! `sotto doctor`: checks the prerequisites, and says how to fix what is missing.

use std::{
    fmt::Display,
    fs, io,
    net::{TcpListener, ToSocketAddrs},
    os::unix::fs::PermissionsExt as _,
    path::Path,
};

use sotto_collector::{
    config::{CertificateFiles, Config, acme_file},
    http::tls::{Certificate, others_may_read},
    peers,
    spool::{self, sharded},
    state,
    visitor::salts::{
        self,
        holder::{HeldBy, Holder, Means, Place},
    },
};
use sotto_geoip::GeoIp;
use sotto_schema::clock::now_ms;
use sotto_store::{account::ACCOUNT_KEY_BYTES, backup::sealed, sites};

use super::output::Listing;
use crate::{
    account_key,
    databases::{external, is_in_use, require, with_databases},
    failure::Failure,
};
use sotto_collector::config::Paths;

/// `sotto doctor`
#[derive(Debug, clap::Args)]
pub struct DoctorArgs {
    /// Print JSON
    #[arg(long)]
    json: bool,
}

/// Free disk space below which hits will soon be refused.
const FREE_BYTES_MIN: u64 = 1 << 30;
/// Days of a certificate below which a renewal has failed: whoever renews does it earlier.
const EXPIRY_DAYS_MIN: i64 = 7;

struct Check {
    what: &'static str,
    ok: bool,
    found: String,
    remedy: &'static str,
}

/// Runs the checks; ends with an error if one fails.
/// `mail` is what the mail server says, if there is one.
pub async fn run(
    args: DoctorArgs,
    config: &Config,
    paths: &Paths,
    mail: Option<Result<(), String>>,
) -> Result<(), Failure> {
    let mut checks = vec![library(config, paths), data(config), held_salts(config, paths)];
    checks.extend([ram(config, paths), geo(config, paths)]);
    checks.extend([account_key(config), backup_key(config), waiting(config)]);
    checks.extend(peers(config));
    checks.extend(mail.map(|answer| mail_server(config, answer)));
    checks.extend(certificates(config));
    if !is_in_use(config) {
        checks.push(port("public address", config.listen));
        checks.push(port("private address", config.admin_listen));
        checks.extend(config.peers.listen.map(|address| port("address for peers", address)));
        checks.extend(config.tls.http_listen.map(|address| port("address for plain HTTP", address)));
    }
    checks.push(database(config, paths).await);
    let mut listing = Listing::new(&["check", "result", "found", "remedy"]);
    let failed = checks.iter().filter(|c| !c.ok).count();
    for check in checks {
        let remedy = if check.ok { "" } else { check.remedy };
        let result = if check.ok { "ok" } else { "wrong" };
        listing.row(vec![check.what.into(), result.into(), check.found.into(), remedy.into()]);
    }
    listing.print(args.json)?;
    if failed > 0 { Err(Failure::found(format!("{failed} checks failed"))) } else { Ok(()) }
}

fn library(config: &Config, paths: &Paths) -> Check {
    let external = external(config).is_some();
    Check {
        what: "ClickHouse library",
        ok: external || paths.library.exists(),
        found: if external { "not needed".into() } else { paths.library.display().to_string() },
        remedy: "run `make setup`, or set clickhouse.url",
    }
}

fn mail_server(config: &Config, answer: Result<(), String>) -> Check {
    let server = format!("{}:{}", config.mail.server.as_deref().unwrap_or_default(), config.mail.port());
    Check {
        what: "mail server",
        ok: answer.is_ok(),
        found: answer.map_or_else(|why| format!("{server}: {why}"), |()| server.clone()),
        remedy: "check [mail]: server, port, tls, user and password_file",
    }
}

/// Whether the directory, or the one in which it would be made, can be written: permissions alone do not tell.
fn data(config: &Config) -> Check {
    let there = config.data.ancestors().find(|dir| dir.exists());
    let there = there.filter(|dir| !dir.as_os_str().is_empty()).unwrap_or(Path::new("."));
    let written = tempfile::tempfile_in(there);
    let free = rustix::fs::statvfs(there).map_or(0, |s| s.f_bavail * s.f_frsize);
    let found = match &written {
        Err(error) => format!("{}: {} cannot be written: {error}", config.data.display(), there.display()),
        Ok(_) => format!("{}, {} MB free", config.data.display(), free >> 20),
    };
    Check {
        what: "data directory",
        ok: written.is_ok() && free >= FREE_BYTES_MIN,
        found,
        remedy: "make room, let Sotto's user write there, or choose another directory with --data",
    }
}

/// A file that only its owner may read: its length, or what is wrong with it.
fn secret(path: &Path) -> Result<u64, String> {
    let file = fs::metadata(path).map_err(|e| {
        let path = path.display();
        if e.kind() == io::ErrorKind::NotFound {
            format!("{path} is not there")
        } else {
            format!("{path}: {e}")
        }
    })?;
    if file.permissions().mode() & 0o077 != 0 {
        return Err(format!("{}: others may read it", path.display()));
    }
    fs::File::open(path).map_err(|e| format!("{}: {e}", path.display()))?;
    Ok(file.len())
}

fn account_key(config: &Config) -> Check {
    let path = account_key::path(config);
    let found = match secret(&path) {
        // The first start makes it.
        Err(_) if config.account_key.is_none() && !path.exists() && require(config).is_err() => {
            Ok("not made yet".into())
        }
        Ok(length) if length != ACCOUNT_KEY_BYTES as u64 => {
            Err(format!("{} has {length} bytes instead of {ACCOUNT_KEY_BYTES}", path.display()))
        }
        other => other.map(|_| path.display().to_string()),
    };
    Check {
        what: "account key",
        ok: found.is_ok(),
        found: found.unwrap_or_else(|why| why),
        remedy: "chmod 600, or put your copy back: with another key, nobody signs in with two steps until `sotto user totp-reset`",
    }
}

fn backup_key(config: &Config) -> Check {
    let path = config.data.join(sealed::KEY_FILE);
    let found = match secret(&path) {
        // The first backup makes it.
        Err(_) if !path.exists() => Ok("not made yet, or not needed".into()),
        other => other.map(|_| path.display().to_string()),
    };
    Check {
        what: "backup key",
        ok: found.is_ok(),
        found: found.unwrap_or_else(|why| why),
        remedy: "chmod 600: whoever reads it can read the backups",
    }
}

fn peers(config: &Config) -> Option<Check> {
    let key_file = config.peers.key_file.as_ref()?;
    let key = peers::read_key(key_file);
    Some(Check {
        what: "peers",
        ok: key.is_ok(),
        found: key.map_or_else(
            |why| why.to_string(),
            |_| format!("{} and {} others", config.peers.name, config.peers.others.len()),
        ),
        remedy: "put the same key file on every collector, readable by its owner alone",
    })
}

/// The files that the configuration names, and those of ACME.
fn certificates(config: &Config) -> Vec<Check> {
    let named = config.tls.files().into_iter().map(|files| {
        let found = certificate(&files);
        Check {
            what: "certificate",
            ok: found.is_ok(),
            found: found.unwrap_or_else(|why| why),
            remedy: "renew it, or correct [tls]; a running Sotto reads files that change and keeps the certificate of before meanwhile",
        }
    });
    let own = config.tls.acme.hosts.iter().map(|host| {
        let file = acme_file(&config.data, host);
        let found = if file.exists() {
            certificate(&CertificateFiles { certificate: file.clone(), key: file })
        } else {
            Err(format!("{host}: none yet"))
        };
        Check {
            what: "ACME certificate",
            ok: found.is_ok(),
            found: found.unwrap_or_else(|why| why),
            remedy: "`certificates` in /readyz of a running Sotto, and its log, say what the authority answers; the name must lead to this machine",
        }
    });
    named.chain(own).collect()
}

fn certificate(files: &CertificateFiles) -> Result<String, String> {
    let read = Certificate::read(files).map_err(|error| error.to_string())?;
    let names = read.names.join(", ");
    let days = (read.expires_s - now_ms() / 1000).div_euclid(24 * 60 * 60);
    if days < EXPIRY_DAYS_MIN {
        return Err(format!("{names}: expires in {days} days"));
    }
    if others_may_read(&files.key) {
        return Err(format!("{}: others may read it: chmod 600", files.key.display()));
    }
    Ok(format!("{names}: expires in {days} days"))
}

fn ram(config: &Config, paths: &Paths) -> Check {
    let found = salts::ram_directory(&config.data, &paths.ram);
    Check {
        what: "RAM directory",
        ok: found.is_some(),
        found: found.map_or_else(|| "none".into(), |d| d.display().to_string()),
        remedy: "mount a tmpfs at /dev/shm, so that a restart keeps the day's objections",
    }
}

/// Who holds salts while Sotto does not run.
fn held_salts(config: &Config, paths: &Paths) -> Check {
    // Before the first start there is no data directory.
    let place = state::salts_place(config, paths)
        .unwrap_or_else(|_| Place { sockets: Some(config.data.clone()), ..Place::default() });
    let holder = Holder::open(config.salts.held_by, &place);
    let means = holder.as_ref().map_or(Means::Memory, Holder::means);
    Check {
        what: "salts",
        ok: means != Means::Memory || config.salts.held_by == HeldBy::Memory,
        found: holder.map_or_else(|error| error.to_string(), |_| format!("held by: {}", means.name())),
        remedy: "set salts.held_by to \"auto\", so that a restart keeps the day's visitors apart",
    }
}

fn geo(config: &Config, paths: &Paths) -> Check {
    let dir = config.geoip_directory(paths);
    let (geo, errors) = GeoIp::open(dir.into_iter().collect());
    let files = geo.load().status().len();
    let mut found = format!("{files} files");
    for error in &errors {
        found = format!("{found}; {error}");
    }
    Check {
        what: "GeoIP files",
        ok: files > 0 && errors.is_empty(),
        found,
        remedy: "run `make setup`, or put .mmdb files into geoip.dir",
    }
}

fn waiting(config: &Config) -> Check {
    let spools = (0..config.shard_count()).map(|shard| sharded::directory(&config.data, shard));
    let segments: Result<Vec<_>, _> = spools.map(|dir| spool::inspect(&dir)).collect();
    let segments = segments.map(|all| all.into_iter().flatten().collect::<Vec<_>>());
    let waiting = segments.as_ref().map_or(0, |all| all.iter().map(|s| s.waiting).sum::<u64>());
    let damaged = segments.as_ref().map_or(0, |all| all.iter().filter(|s| s.damaged > 0).count());
    let aside = spool::set_aside(&config.data.join("spool")).map_or(0, |files| files.len());
    let damage = if damaged > 0 { format!(", {damaged} files are damaged") } else { String::new() };
    Check {
        what: "spool",
        ok: segments.is_ok() && aside == 0 && damaged == 0,
        found: segments.map_or_else(
            |e| e.to_string(),
            |_| format!("{waiting} hits wait, {aside} batches are set aside{damage}"),
        ),
        remedy: "`sotto spool inspect` shows what is wrong, `sotto spool replay` ships what is set aside; check the disk",
    }
}

fn port(what: &'static str, address: impl ToSocketAddrs + Display) -> Check {
    let free = TcpListener::bind(&address);
    Check {
        what,
        ok: free.is_ok(),
        found: free.map_or_else(|e| format!("{address}: {e}"), |_| address.to_string()),
        remedy: "stop what listens there, or choose another address in sotto.toml",
    }
}

async fn database(config: &Config, paths: &Paths) -> Check {
    let asked = with_databases(config, paths, async |db| Ok(sites::all(&db.reader).await?.len())).await;
    Check {
        what: "ClickHouse",
        ok: asked.is_ok(),
        found: asked.map_or_else(|f| f.to_string(), |n| format!("answers; {n} sites")),
        remedy: "see the message; start `sotto serve` once, or correct --data; for an external server check clickhouse.url, user and password",
    }
}
