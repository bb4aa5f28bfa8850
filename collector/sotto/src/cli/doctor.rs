//! `sotto doctor`: checks the prerequisites, and says how to fix what is missing.

use std::{
    fmt::Display,
    net::{TcpListener, ToSocketAddrs},
    path::Path,
};

use sotto_collector::{
    config::Config,
    spool::{self, sharded},
    visitor::salts,
};
use sotto_geoip::GeoIp;
use sotto_store::{engine, sites};

use super::output::Listing;
use crate::{
    databases::{engine_directory, external, with_databases},
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

struct Check {
    what: &'static str,
    ok: bool,
    found: String,
    remedy: &'static str,
}

/// Runs the checks; ends with an error if one fails.
pub async fn run(args: DoctorArgs, config: &Config, paths: &Paths) -> Result<(), Failure> {
    let mut checks = vec![library(config, paths), data(config), ram(config, paths), geo(config, paths)];
    checks.push(waiting(config));
    let running = engine::running(&engine_directory(config)).await.is_some();
    if !running {
        checks.push(port("public address", config.listen));
        checks.push(port("private address", config.admin_listen));
    }
    checks.push(database(config, paths).await);
    let mut listing = Listing::new(&["check", "result", "found", "remedy"]);
    let failed = checks.iter().filter(|c| !c.ok).count();
    for check in checks {
        let remedy = if check.ok { "" } else { check.remedy };
        let result = if check.ok { "ok" } else { "wrong" };
        listing.row(vec![check.what.into(), result.into(), check.found.into(), remedy.into()]);
    }
    listing.print(args.json);
    if failed > 0 { Err(Failure::usage(format!("{failed} checks failed"))) } else { Ok(()) }
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

fn data(config: &Config) -> Check {
    let dir = if config.data.exists() { config.data.as_path() } else { Path::new(".") };
    let free = rustix::fs::statvfs(dir).map_or(0, |s| s.f_bavail * s.f_frsize);
    Check {
        what: "data directory",
        ok: free >= FREE_BYTES_MIN,
        found: format!("{}, {} MB free", config.data.display(), free >> 20),
        remedy: "make room, or choose another directory with --data",
    }
}

fn ram(config: &Config, paths: &Paths) -> Check {
    let found = salts::ram_directory(&config.data, &paths.ram);
    Check {
        what: "RAM directory for salts",
        ok: found.is_some(),
        found: found.map_or_else(|| "none".into(), |d| d.display().to_string()),
        remedy: "mount a tmpfs at /dev/shm, so that a restart keeps the day's visitors apart",
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
        remedy: "see the message; for an external server check clickhouse.url, user and password",
    }
}
