//! `sotto demo`: fills demo.example with 90 days of traffic through the real ingestion path, then serves.
//!
//! Every hit is written in the wire format, parsed, filtered, geolocated, keyed, made durable in the spool
//! and shipped, as if it came from a browser; only the socket is missing. The same seed, GeoIP data and day
//! give the same traffic.

use std::{
    fs,
    io::{IsTerminal, Write as _},
    sync::{
        Arc,
        atomic::{AtomicI64, Ordering},
    },
    time::Instant,
};

use http::HeaderMap;
use jiff::{SignedDuration, tz::TimeZone};
use sotto_collector::{
    background::{storing, upkeep},
    config::{Config, Paths, Ship},
    ingest::road::{NotTaken, Submission},
    pipeline::parse,
    spool::sharded::ShardRepeats,
    state::{Lifetime, State},
    visitor::client_ip::Peer,
};
use sotto_schema::{clock::Clock, id::SiteId, outcome::Outcome, policy::Preset, site::Site};
use sotto_store::{
    account::{self, Role},
    annotation::{self, Moment},
    db::{Databases, Db},
    funnel::{self, Step},
    goal::Kind,
    private_file, sites,
};
use tokio_util::sync::CancellationToken;

use crate::{
    cli::output::say,
    databases::with_new_databases,
    failure::Failure,
    serve::{self, Front},
};
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
/// How long hits wait before they are shipped.
const SHIP_INTERVAL: SignedDuration = SignedDuration::from_millis(100);

/// A funnel: name, whether no other page may be seen between two steps, and the steps.
type DemoFunnel = (&'static str, bool, &'static [(Kind, &'static str)]);
/// Funnels of the demo site.
const FUNNELS: [DemoFunnel; 2] = [
    ("Booking", false, &[(Kind::Page, "/rooms*"), (Kind::Page, "/booking"), (Kind::Event, "Booking")]),
    ("From the blog to a room", true, &[(Kind::Page, "/blog/*"), (Kind::Page, "/rooms*")]),
];

/// Annotations of the demo site: how many days ago, and what they say.
const ANNOTATIONS: [(usize, &str); 2] = [(19, "New pictures of the rooms"), (52, "Autumn campaign begins")];

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
pub async fn run(args: DemoArgs, config: Config, paths: Paths, front: Front<'_>) -> Result<(), Failure> {
    let fill_only = args.fill_only;
    with_new_databases(&config, &paths, async |databases| prepare(&args, &config, &paths, &databases).await)
        .await?;
    if fill_only { Ok(()) } else { serve::run(config, paths, Some(front)).await }
}

async fn prepare(
    args: &DemoArgs,
    config: &Config,
    paths: &Paths,
    databases: &Databases,
) -> Result<(), Failure> {
    let db = &databases.writer;
    let password = owner(config, db).await?;
    let known = sites::all(db).await?.into_iter().find(|s| s.hostnames == [HOSTNAME]);
    if known.is_none() {
        let plan = Plan::until(Clock::System.now_ms(), args)?;
        let mut site = Site::new("Demo: Lindenhof", &[HOSTNAME], TIME_ZONE, Preset::Cnil)?;
        site.retention_days = args.days + 30;
        fill(&plan, config, paths, databases, &site).await?;
        for (name, strict, steps) in FUNNELS {
            let step = |(kind, pattern): &(Kind, &str)| Step { kind: *kind, pattern: (*pattern).to_owned() };
            let steps: Vec<Step> = steps.iter().map(step).collect();
            funnel::add(db, site.id, name, strict, &steps).await?;
        }
        for (age, text) in ANNOTATIONS {
            if let Some(day) = plan.days.iter().rev().nth(age) {
                annotation::add(db, site.id, Moment { day: day.date, time: None }, text).await?;
            }
        }
        // Last, so that an interrupted fill starts over.
        sites::save(db, &site).await?;
    }
    say!("Sign in as {EMAIL} with the password {password}")?;
    Ok(())
}

/// The demo's owner, created at the first start; the password is random and stored next to the data.
async fn owner(config: &Config, db: &Db) -> Result<String, Failure> {
    fs::create_dir_all(&config.data)?;
    let path = config.data.join("demo-password");
    if account::user(db, EMAIL).await?.is_some() {
        return Ok(fs::read_to_string(path).unwrap_or_else(|_| "that you chose".into()));
    }
    let mut bytes = [0u8; 8];
    getrandom::fill(&mut bytes).map_err(|e| Failure::failed(e.to_string()))?;
    let password = const_hex::encode(bytes);
    let user = account::add_user(db, &account::Hasher::new()?, EMAIL, "Demo owner", &password).await?;
    account::grant(db, user.id, SiteId::NONE, Role::Owner).await?;
    private_file::write(&path, password.as_bytes())?;
    Ok(password)
}

/// Sends the traffic of all days through the pipeline.
async fn fill(
    plan: &Plan,
    config: &Config,
    paths: &Paths,
    databases: &Databases,
    site: &Site,
) -> Result<(), Failure> {
    let began = Instant::now();
    let clock = Arc::new(AtomicI64::new(0));
    let config = Config { ship: Ship { interval: SHIP_INTERVAL, ..config.ship.clone() }, ..config.clone() };
    // Salts of past days: in memory only, and not in the ledger of real ones.
    let (state, readers) =
        State::open(config, paths, databases.clone(), Clock::Fixed(clock.clone()), Lifetime::Process)?;
    state.rules.replace(vec![site.clone()])?;
    let stop = CancellationToken::new();
    let shippers = state.shippers(readers).into_iter();
    let shipping: Vec<_> = shippers.map(|shipper| tokio::spawn(shipper.run(stop.clone()))).collect();
    let sent = send_days(plan, &state, &clock, site).await?;
    stop.cancel();
    let mut left = 0;
    for shipping in shipping {
        left += shipping.await?.waiting();
    }
    if left > 0 {
        return Err(Failure::failed(format!("{left} hits could not be shipped; run sotto demo again")));
    }
    storing::store_outcomes(&state).await;
    let seconds = began.elapsed().as_secs_f64();
    let hits = sent.hits as f64;
    let days = plan.days.len() - 1;
    say!("{hits} hits of {days} days in {seconds:.1} s ({:.0} hits/s)", hits / seconds)?;
    print_size(&databases.writer.of_site(site.id), &sent).await
}

/// Prints the disk space per event, for capacity planning.
async fn print_size(db: &Db, sent: &Sent) -> Result<(), Failure> {
    let stored: Stored = db.query(include_str!("demo/size.sql")).fetch_one().await?;
    say!(
        "bytes per event: {:.0} in the spool, {:.1} in ClickHouse ({} events)",
        sent.spool_bytes as f64 / sent.events.max(1) as f64,
        stored.bytes as f64 / stored.events.max(1) as f64,
        stored.events
    )?;
    Ok(())
}

/// What the table of events takes on disk.
#[derive(clickhouse::Row, serde::Deserialize)]
struct Stored {
    events: u64,
    bytes: u64,
}

/// What was sent.
#[derive(Default)]
struct Sent {
    hits: u64,
    /// Hits that were kept.
    events: u64,
    /// What they took in the spool.
    spool_bytes: u64,
}

async fn send_days(plan: &Plan, state: &State, clock: &AtomicI64, site: &Site) -> Result<Sent, Failure> {
    let zone = TimeZone::get(TIME_ZONE)?;
    let collector = state.collector(None);
    let mut world = traffic::World::new(plan.seed, &collector.geo.load());
    let (mut group, mut sent) = (collector.spools.appends(), Sent::default());
    for (n, day) in plan.days.iter().enumerate() {
        let mut hits = world.day(&site.key, day.date, &zone, day.visits)?;
        hits.retain(|hit| hit.time_ms < plan.until_ms);
        for hit in hits {
            clock.store(hit.time_ms, Ordering::Relaxed);
            let headers: &HeaderMap = &hit.headers;
            let parsed = parse::hits(hit.body.as_bytes())?;
            let decoded =
                parsed.into_iter().map(|hit| hit.map(Submission::from).map_err(NotTaken::from)).collect();
            let admitted = collector.admit(decoded, headers, Peer::LOOPBACK);
            group.extend(&admitted.appends);
            sent.hits += 1;
            sent.events += admitted.appends.len() as u64;
            sent.spool_bytes += admitted.appends.disk_bytes();
            // If the fill does not reach the disk, it fails as a whole.
            admitted.end(&ShardRepeats::NONE);
            if group.len() >= GROUP {
                let full = std::mem::replace(&mut group, collector.spools.appends());
                collector.spools.append(full).await?;
            }
        }
        upkeep::retire_salts(state, day.end_ms);
        collector.sessions.sweep(day.end_ms);
        progress(n, plan.days.len() - 1, sent.hits);
    }
    collector.spools.append(group).await?;
    debug_assert!(collector.metrics.total(Outcome::Stored) > 0);
    Ok(sent)
}

/// A progress bar on a terminal, lines in logs.
fn progress(done: usize, all: usize, hits: u64) {
    let mut out = std::io::stdout().lock();
    let percent = done * 100 / all.max(1);
    // Failing to show progress is no reason to stop.
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
