//! `sotto demo`: fills demo.example with 90 days of traffic through the real ingestion path, then serves.
//!
//! Every hit is written in the wire format, parsed, gated, located, keyed, made durable in the spool and shipped, as
//! if it came from a browser; only the socket is missing. The same seed, GeoIP data and day give the same traffic.

use std::{
    fs,
    io::{IsTerminal, Write as _},
    sync::{
        Arc,
        atomic::{AtomicI64, Ordering},
    },
    time::{Duration, Instant},
};

use http::HeaderMap;
use jiff::tz::TimeZone;
use sotto_collector::{
    client_ip::{Peer, TrustedProxies},
    clock::Clock,
    config::Config,
    jobs::Jobs,
    metrics::Metrics,
    outcome::Outcome,
    pipeline::{device::Classifier, parse},
    routes::{Collector, script::Scripts},
    rules::RuleBook,
    salts::Salts,
    sessions::Sessions,
    ship::Shipper,
    spool::Reader,
};
use sotto_schema::{
    account::{self, Role},
    db::{Databases, Db},
    policy::Preset,
    site::{self, Site},
};
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

use super::{Failure, Places, serve, with_databases};
use plan::Plan;

mod plan;
mod traffic;

/// Host name of the demo site.
const HOSTNAME: &str = "demo.example";
/// Address the demo's owner signs in with.
const EMAIL: &str = "owner@demo.example";
const TIME_ZONE: &str = "Europe/Berlin";
/// How many hits are made durable together.
const GROUP: usize = 2_000;

/// `sotto demo`
#[derive(Debug, clap::Args)]
pub struct DemoArgs {
    /// How many days before today
    #[arg(long, default_value_t = 90, value_parser = clap::value_parser!(u16).range(1..=700))]
    days: u16,
    /// About how many visits a day
    #[arg(long, default_value_t = 600, value_parser = clap::value_parser!(u32).range(1..=1_000_000))]
    visits: u32,
    /// Another seed gives other traffic
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// Only fill, do not serve
    #[arg(long)]
    fill_only: bool,
}

/// Fills the demo site if it is empty, then serves.
pub async fn run(
    args: DemoArgs,
    config: Config,
    places: Places,
    dashboard: serve::MakeDashboard<'_>,
) -> Result<(), Failure> {
    let fill_only = args.fill_only;
    with_databases(&config, &places, async |databases| prepare(&args, &config, &places, &databases).await)
        .await?;
    if fill_only { Ok(()) } else { serve::run(config, places, Some(dashboard)).await }
}

async fn prepare(
    args: &DemoArgs,
    config: &Config,
    places: &Places,
    databases: &Databases,
) -> Result<(), Failure> {
    let db = &databases.writer;
    let password = owner(config, db).await?;
    let known = site::all(db).await?.into_iter().find(|s| s.hostnames == [HOSTNAME]);
    if known.is_none() {
        let plan = Plan::until(Clock::System.now_ms(), args)?;
        let mut site = Site::new("Demo: Lindenhof", &[HOSTNAME], TIME_ZONE, Preset::Cnil)?;
        site.retention_days = args.days + 30;
        fill(&plan, config, places, db, &site).await?;
        // Last, so that a fill that was interrupted begins anew.
        site::save(db, &site).await?;
    }
    println!("Sign in as {EMAIL} with the password {password}");
    Ok(())
}

/// The demo's owner, made at the first start; the password is random and kept beside the data.
async fn owner(config: &Config, db: &Db) -> Result<String, Failure> {
    fs::create_dir_all(&config.data)?;
    let path = config.data.join("demo-password");
    if account::user(db, EMAIL).await?.is_some() {
        return Ok(fs::read_to_string(path).unwrap_or_else(|_| "that you chose".into()));
    }
    let mut bytes = [0u8; 8];
    getrandom::fill(&mut bytes).map_err(|e| Failure::usage(e.to_string()))?;
    let password: String = bytes.iter().map(|b| format!("{b:02x}")).collect();
    let user = account::add_user(db, &account::Hasher::new()?, EMAIL, "Demo owner", &password).await?;
    account::grant(db, user.id, 0, Role::Owner).await?;
    serve::write_private(&path, &password)?;
    Ok(password)
}

/// Sends the traffic of all days down the road.
async fn fill(plan: &Plan, config: &Config, places: &Places, db: &Db, site: &Site) -> Result<(), Failure> {
    let began = Instant::now();
    let metrics = Arc::new(Metrics::default());
    let (spools, readers) = serve::open_spools(config)?;
    let clock = Arc::new(AtomicI64::new(0));
    let rules = Arc::new(RuleBook::open(config.data.join("demo-sites.json")));
    rules.replace(vec![site.clone()])?;
    let collector = Collector {
        spools: spools.clone(),
        rules: rules.clone(),
        tokens: Arc::default(),
        // Salts of days that are over: in memory only, and not in the ledger of real ones.
        salts: Arc::new(Salts::open(None)?),
        sessions: Arc::new(Sessions::new(100_000)),
        views: Arc::default(),
        geo: Arc::new(serve::open_geoip(config, places)),
        classifier: Classifier::default(),
        metrics: metrics.clone(),
        unmapped: Arc::default(),
        clock: Clock::Fixed(clock.clone()),
        trusted_proxies: TrustedProxies::default(),
        excluder: serve::open_excluder(config)?,
        objections: Arc::default(),
        scripts: Arc::new(Scripts::embedded()?),
        unknown_site: Arc::default(),
        peers: None,
    };
    let stop = CancellationToken::new();
    let shipping = start_shippers(config, readers, db, &metrics, &stop);
    let jobs = Jobs {
        db: db.clone(),
        rules,
        rules_changed: Arc::default(),
        tokens: Arc::default(),
        salts: collector.salts.clone(),
        objections: Arc::default(),
        sessions: collector.sessions.clone(),
        geo: collector.geo.clone(),
        metrics: metrics.clone(),
        unmapped: Arc::default(),
        clock: collector.clock.clone(),
        collector: String::new(),
        backups: config.data.join(sotto_collector::backups::DIRECTORY),
        spools: collector.spools.clone(),
        seal_interval: config.archive.interval.unsigned_abs(),
    };
    let sent = send_days(plan, &collector, &jobs, &clock, site).await?;
    stop.cancel();
    let mut left = 0;
    for shipping in shipping {
        left += shipping.await?.waiting();
    }
    if left > 0 {
        return Err(Failure::usage(format!("{left} hits could not be shipped; run sotto demo again")));
    }
    jobs.store_outcomes().await;
    fs::remove_file(config.data.join("demo-sites.json"))?;
    let seconds = began.elapsed().as_secs_f64();
    let hits = sent.hits as f64;
    let days = plan.days.len() - 1;
    println!("{hits} hits of {days} days in {seconds:.1} s ({:.0} hits/s)", hits / seconds);
    print_size(&db.of_site(site.id), &sent).await
}

/// One shipper for each shard.
fn start_shippers(
    config: &Config,
    readers: Vec<Reader>,
    db: &Db,
    metrics: &Arc<Metrics>,
    stop: &CancellationToken,
) -> Vec<JoinHandle<Reader>> {
    let (interval, rows_max) = (Duration::from_millis(100), config.ship.batch_rows_max);
    let start = |(reader, db)| {
        let metrics = metrics.clone();
        let shipper = Shipper { reader, db, interval, rows_max, metrics, refusals: 0, behind: false };
        tokio::spawn(shipper.run(stop.clone()))
    };
    readers.into_iter().zip(db.shards()).map(start).collect()
}

/// Says what an event takes on disk, for whoever plans.
async fn print_size(db: &Db, sent: &Sent) -> Result<(), Failure> {
    let stored: Stored = db.query(include_str!("demo/size.sql")).fetch_one().await?;
    println!(
        "bytes per event: {:.0} in the spool, {:.1} in ClickHouse ({} events)",
        sent.spool_bytes as f64 / sent.events.max(1) as f64,
        stored.bytes as f64 / stored.events.max(1) as f64,
        stored.events
    );
    Ok(())
}

/// What the table of events takes on disk.
#[derive(clickhouse::Row, serde::Deserialize)]
struct Stored {
    events: u64,
    bytes: u64,
}

/// What went down the road.
#[derive(Default)]
struct Sent {
    hits: u64,
    /// Hits that were kept.
    events: u64,
    /// What they took in the spool.
    spool_bytes: u64,
}

async fn send_days(
    plan: &Plan,
    collector: &Collector,
    jobs: &Jobs,
    clock: &AtomicI64,
    site: &Site,
) -> Result<Sent, Failure> {
    let zone = TimeZone::get(TIME_ZONE)?;
    let mut world = traffic::World::new(plan.seed, &collector.geo.load());
    let (mut group, mut sent) = (collector.spools.appends(), Sent::default());
    for (n, day) in plan.days.iter().enumerate() {
        let mut hits = world.day(&site.key, day.date, &zone, day.visits)?;
        hits.retain(|hit| hit.time_ms < plan.until_ms);
        for hit in hits {
            clock.store(hit.time_ms, Ordering::Relaxed);
            let headers: &HeaderMap = &hit.headers;
            let parsed = parse::hits(hit.body.as_bytes())?;
            let admitted = collector.admit(parsed, headers, Peer::LOOPBACK);
            for (site, outcome) in &admitted.outcomes {
                collector.metrics.count(*site, admitted.now_ms, *outcome);
            }
            group.extend(&admitted.appends);
            sent.hits += 1;
            sent.events += admitted.appends.len() as u64;
            sent.spool_bytes += admitted.appends.disk_bytes();
            if group.len() >= GROUP {
                let full = std::mem::replace(&mut group, collector.spools.appends());
                collector.spools.append(full).await?;
            }
        }
        jobs.retire_salts(day.end_ms);
        collector.sessions.sweep(day.end_ms);
        progress(n, plan.days.len() - 1, sent.hits);
    }
    collector.spools.append(group).await?;
    debug_assert!(collector.metrics.total(Outcome::Stored) > 0);
    Ok(sent)
}

/// A bar for people, lines for logs.
fn progress(done: usize, all: usize, hits: u64) {
    let mut out = std::io::stdout().lock();
    let percent = done * 100 / all.max(1);
    // Progress that cannot be shown is no reason to stop.
    let _shown = if out.is_terminal() {
        let full = percent / 4;
        write!(out, "\r  [{}{}] {percent} %  {hits} hits ", "#".repeat(full), "-".repeat(25 - full))
            .and_then(|()| if done == all { writeln!(out) } else { out.flush() })
    } else if done == all || percent / 25 != done.saturating_sub(1) * 100 / all.max(1) / 25 {
        writeln!(out, "  {percent} %  {hits} hits")
    } else {
        Ok(())
    };
}
