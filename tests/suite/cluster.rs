//! Two shards: real servers on loopback, which know each other as a cluster.
//!
//! Not here, because the embedded server cannot: replication between servers. What can be tested of it is.

use std::{
    collections::BTreeSet,
    fs,
    path::PathBuf,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU32, Ordering},
    },
    time::{Duration, Instant},
};

use rustix::process::{Signal, getpid, kill_process};
use serde_json::{Value, json};
use sotto_collector::{
    ship::{Progress, ShipError, Shipper},
    spool,
};
use sotto_schema::{
    day::Day,
    event::{COLUMNS, Event},
    id::SiteId,
};
use sotto_store::{
    cluster::Cluster,
    db::{Access, Db, shard_of},
    engine::{Embedded, Memory, Settings},
    migrate::{
        self, MIGRATIONS, MigrateError,
        lock::{Lock, LockError},
        replicated::{Place, replicated},
    },
};
use sotto_tests::{Noon, PERSON, Road, Sotto, children, free_port, program, try_request, wait_for};
use tokio::runtime::Runtime;

use crate::{accounts, schema::library};

const USER: &str = "cluster";
const PASSWORD: &str = "of tests";
const CLUSTER: &str = "stats";
const ROWS: &str = "SELECT count() FROM events";

/// A server of the cluster: always at the same address, whatever happens to it.
struct Node {
    dir: tempfile::TempDir,
    road: Road,
    engine: Option<Embedded>,
}

impl Node {
    fn access(&self, database: &str) -> Access {
        Access {
            url: self.road.url(),
            database: database.into(),
            user: USER.into(),
            password: PASSWORD.into(),
        }
    }

    fn db(&self) -> Db {
        Db::new(self.access("sotto"))
    }

    fn start(&mut self, runtime: &Runtime) {
        let settings = Settings {
            dir: self.dir.path().join("clickhouse"),
            library: library(),
            program: program(),
            memory: Memory::default(),
        };
        let engine = runtime.block_on(Embedded::start(settings)).unwrap();
        self.road.lead_to(&[&engine.databases().writer.access().url]);
        self.engine = Some(engine);
        let listen = self.db().without_database();
        runtime.block_on(listen.query("SYSTEM START LISTEN TCP").execute()).unwrap();
    }

    /// Kills the server with no chance to do anything; it stays away until it is started.
    fn kill(&mut self, runtime: &Runtime) {
        let own = self.dir.path().display().to_string();
        let killed = children(getpid()).into_iter().filter(|pid| {
            let line = fs::read_to_string(format!("/proc/{}/cmdline", pid.as_raw_nonzero()));
            line.is_ok_and(|line| line.contains(&own))
        });
        assert_eq!(killed.map(|pid| kill_process(pid, Signal::KILL).unwrap()).count(), 1);
        self.road.cut();
        // Its supervisor would start it again.
        runtime.block_on(self.engine.take().unwrap().stop());
    }

    fn count(&self, runtime: &Runtime, database: &str, sql: &str) -> u64 {
        runtime.block_on(Db::new(self.access(database)).query(sql).fetch_one()).unwrap()
    }
}

/// Started servers that know each other.
struct Nodes {
    nodes: Vec<Node>,
    runtime: Runtime,
}

impl Nodes {
    fn start(count: usize) -> Self {
        let runtime =
            tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
        let ports: Vec<u16> = (0..count).map(|_| free_port()).collect();
        let replica = |port: &u16| {
            format!("<shard><replica><host>127.0.0.1</host><port>{port}</port></replica></shard>")
        };
        let shards: String = ports.iter().map(replica).collect();
        let nodes = ports.iter().map(|port| {
            let dir = tempfile::tempdir().unwrap();
            let more = |name: &str, text: String| {
                let dir = dir.path().join("clickhouse").join(name);
                fs::create_dir_all(&dir).unwrap();
                fs::write(dir.join("cluster.xml"), format!("<clickhouse>{text}</clickhouse>")).unwrap();
            };
            more(
                "config.d",
                format!(
                    "<tcp_port>{port}</tcp_port><remote_servers><{CLUSTER}><secret>of servers</secret>{shards}</{CLUSTER}></remote_servers>"
                ),
            );
            more(
                "users.d",
                format!(
                    "<users><{USER}><password>{PASSWORD}</password><networks><ip>127.0.0.1</ip></networks>\
                     <profile>collector</profile><quota>default</quota></{USER}></users>"
                ),
            );
            Node { dir, road: Road::build(), engine: None }
        });
        let mut nodes: Vec<Node> = nodes.collect();
        for node in &mut nodes {
            node.start(&runtime);
        }
        Self { nodes, runtime }
    }

    fn shards(&self) -> Vec<Vec<Access>> {
        self.nodes.iter().map(|node| vec![node.access("sotto")]).collect()
    }

    fn config(&self) -> String {
        let shards: Vec<String> = self.nodes.iter().map(|n| format!("[\"{}\"]", n.road.url())).collect();
        format!(
            "[clickhouse]\ncluster = \"{CLUSTER}\"\nshards = [{}]\nuser = \"{USER}\"\npassword = \"{PASSWORD}\"\n",
            shards.join(", ")
        )
    }
}

impl Drop for Nodes {
    fn drop(&mut self) {
        for node in &mut self.nodes {
            if let Some(engine) = node.engine.take() {
                self.runtime.block_on(engine.stop());
            }
        }
    }
}

/// Keys of a site on each shard, with the host name of its pages.
fn sites_on_each_shard(sotto: &Sotto, nodes: &Nodes) -> Vec<(String, String)> {
    let mut found = vec![None; nodes.nodes.len()];
    // Numbers of sites are random; that all of so many are on one shard is out of the question.
    for n in 0..100 {
        let hostname = format!("s{n}.example");
        let key = sotto.add_site(&hostname, &[]);
        let query = nodes.nodes[0].db();
        let query = query.query("SELECT id FROM sites FINAL WHERE key = {key:String}").param("key", &key);
        let id: u64 = nodes.runtime.block_on(query.fetch_one()).unwrap();
        found[shard_of(SiteId(id), nodes.nodes.len())] = Some((key, hostname));
        if found.iter().all(Option::is_some) {
            break;
        }
    }
    found.into_iter().flatten().collect()
}

/// Sends hits one after the other until told to stop; the numbers of those that were acknowledged.
fn load(url: String, site: (String, String), next: Arc<AtomicU32>, stop: Arc<AtomicBool>) -> BTreeSet<u32> {
    let mut acknowledged = BTreeSet::new();
    while !stop.load(Ordering::Relaxed) {
        let n = next.fetch_add(1, Ordering::Relaxed);
        let (key, host) = &site;
        let body = format!(r#"{{"v":1,"s":"{key}","k":"p","i":"v{n}","q":0,"u":"https://{host}/{n}"}}"#);
        let answer = try_request("POST", &format!("{url}/e"), &[("user-agent", PERSON)], body.as_bytes());
        if answer.is_ok_and(|a| a.status == 204) {
            acknowledged.insert(n);
        }
    }
    acknowledged
}

fn stored(sotto: &Sotto, site: &str) -> Vec<u32> {
    let lines = sotto.run(&["export", site]);
    let number = |line: &str| {
        let event: Value = serde_json::from_str(line).unwrap();
        event["path"].as_str().unwrap().trim_start_matches('/').parse().unwrap()
    };
    lines.lines().map(number).collect()
}

#[test]
fn shard_that_is_killed_under_load_loses_and_doubles_nothing_and_the_other_answers() {
    let mut nodes = Nodes::start(2);
    let sotto = Sotto::start_with(&nodes.config());
    let sites = sites_on_each_shard(&sotto, &nodes);
    let keys: Vec<&str> = sites.iter().map(|(key, _)| key.as_str()).collect();
    accounts::add_user(&sotto, "owner@example.org", &["--role", "owner"]);
    let cookie = accounts::cookie(&accounts::sign_in(&sotto, "owner@example.org", accounts::PASSWORD));
    let page = |site: &str| accounts::status(&sotto, &format!("/s/{site}"), &cookie);
    let views = |site: &str| {
        let (ok, report) = sotto.try_run(&["report", site, "--json", "--metrics", "pageviews"], "");
        ok.then(|| serde_json::from_str::<Value>(&report).unwrap()[0]["pageviews"].as_u64().unwrap())
    };

    let stop = Arc::new(AtomicBool::new(false));
    let counters: Vec<Arc<AtomicU32>> = sites.iter().map(|_| Arc::default()).collect();
    let workers: Vec<_> = sites
        .iter()
        .zip(&counters)
        .map(|(site, next)| {
            let (url, site, next, stop) = (sotto.url.clone(), site.clone(), next.clone(), stop.clone());
            std::thread::spawn(move || load(url, site, next, stop))
        })
        .collect();
    let wait_for_more = || {
        let before: Vec<u32> = counters.iter().map(|c| c.load(Ordering::Relaxed)).collect();
        wait_for("more hits", || {
            let more = counters.iter().zip(&before).all(|(c, b)| c.load(Ordering::Relaxed) > b + 150);
            more.then_some(())
        });
    };
    for _round in 0..2 {
        wait_for("both shards to have hits", || (views(keys[0])? > 0 && views(keys[1])? > 0).then_some(()));
        nodes.nodes[1].kill(&nodes.runtime);
        let before = views(keys[0]).expect("the other shard answers");
        wait_for_more();
        wait_for("new hits of the other shard", || (views(keys[0])? > before).then_some(()));
        assert_eq!(views(keys[1]), None, "a shard that is away gives no answer instead of a wrong one");
        assert_eq!((page(keys[0]), page("")), (200, 404));
        assert_eq!(accounts::status(&sotto, "/sites", &cookie), 200, "the list of sites");
        assert!(page(keys[1]) >= 500);
        nodes.nodes[1].start(&nodes.runtime);
        wait_for_more();
    }
    stop.store(true, Ordering::Relaxed);
    let acknowledged: Vec<BTreeSet<u32>> = workers.into_iter().map(|w| w.join().unwrap()).collect();
    wait_for("empty spools", || {
        let spools: Vec<Value> = serde_json::from_str(&sotto.run(&["spool", "inspect", "--json"])).unwrap();
        spools.iter().all(|segment| segment["waiting"] == 0).then_some(())
    });
    for ((key, acknowledged), counter) in keys.iter().zip(&acknowledged).zip(&counters) {
        assert_eq!(acknowledged.len(), counter.load(Ordering::Relaxed) as usize, "no hit was refused");
        let stored = stored(&sotto, key);
        let once: BTreeSet<u32> = stored.iter().copied().collect();
        assert_eq!(once, *acknowledged, "what was acknowledged is there");
        assert_eq!(stored.len(), once.len(), "once");
        assert_eq!(views(key), Some(once.len() as u64), "the report of its site");
        assert_eq!(page(key), 200);
    }
    let count = |node: usize, database: &str| nodes.nodes[node].count(&nodes.runtime, database, ROWS);
    let local = [count(0, "sotto"), count(1, "sotto")];
    assert_eq!(local, [acknowledged[0].len() as u64, acknowledged[1].len() as u64], "each on its shard");
    for node in 0..2 {
        assert_eq!(count(node, "sotto_all"), local[0] + local[1], "Distributed is the sum, asked anywhere");
    }
}

/// A page view `age` days ago that expires in `left` days, as `sotto import` reads it.
fn view(noon: &Noon, age: i32, left: i32, visitor: u64) -> String {
    let [day, expires] = [age, -left].map(|age| noon.day(age).to_string());
    let (time, visitor) = (format!("{day} 12:00:00.000"), visitor.to_string());
    json!({ "day": day, "expires": expires, "time": time, "kind": "pageview", "hostname": "x.example",
            "path": "/", "view": "1", "visitor": visitor, "session": visitor })
    .to_string()
}

#[test]
fn site_is_sealed_aged_and_erased_on_its_own_shard() {
    let nodes = Nodes::start(2);
    let sotto = Sotto::start_with(&nodes.config());
    // One day for the whole test. The sites may be an hour apart, but none of what they have is of this day.
    let noon = Noon::now();
    let view = |age: i32, left: i32, visitor: u64| view(&noon, age, left, visitor);
    let sites = sites_on_each_shard(&sotto, &nodes);
    let file = sotto.data().join("events.jsonl");
    let due: Vec<String> = (1..=6).map(|visitor| view(45, -15, visitor)).collect();
    let fresh: Vec<String> = (7..=9).map(|visitor| view(2, 28, visitor)).collect();
    for (n, (key, _)) in sites.iter().enumerate() {
        // One more due event on the second shard, to tell them apart.
        let events = [&due[..], &fresh, &vec![view(45, -15, 10); n]].concat();
        fs::write(&file, events.join("\n") + "\n").unwrap();
        sotto.run(&["import", &file.display().to_string(), "--from", "sotto", "--site", key]);
    }
    let count = |node: usize, sql: &str| nodes.nodes[node].count(&nodes.runtime, "sotto", sql);
    assert_eq!([count(0, ROWS), count(1, ROWS)], [9, 10]);

    sotto.run(&["archive", "seal"]);
    // Each site, with events or without, on one shard.
    let released = "SELECT uniqExact(site) FROM archive";
    let on = [count(0, released), count(1, released)];
    let known = count(0, "SELECT uniqExact(id) FROM sites");
    assert!(on[0] > 0 && on[1] > 0 && on[0] + on[1] == known, "{on:?} of {known}");
    let proofs: Vec<Value> = serde_json::from_str(&sotto.run(&["archive", "verify", "--json"])).unwrap();
    let of = |key: &str| proofs.iter().find(|proof| proof["site"] == *key).unwrap();
    for (key, _) in &sites {
        assert!(of(key)["days"].as_u64() >= Some(30) && of(key)["flaw_count"] == 0, "{key}: {proofs:?}");
    }

    sotto.run(&["retention", "run"]);
    assert_eq!([count(0, ROWS), count(1, ROWS)], [3, 3], "what is due is gone on both");
    let noted = "SELECT count() FROM audit_log WHERE detail LIKE 'raw_events: %'";
    assert_eq!([count(0, noted), count(1, noted)], [2, 0], "the audit log is on the first");
    for (n, (key, _)) in sites.iter().enumerate() {
        assert!(sotto.run(&["privacy", "erase", key, "--visitor", "9"]).contains("1 events erased, 0 left"));
        assert_eq!(count(n, ROWS), 2);
    }
    let after: Vec<Value> = serde_json::from_str(&sotto.run(&["archive", "verify", "--json"])).unwrap();
    assert_eq!(after, proofs, "the archive stays as it is");
}

#[test]
fn programs_that_start_at_once_migrate_every_server_once() {
    let nodes = Nodes::start(2);
    let clusters: Vec<Cluster> = (0..4).map(|_| Cluster::new(nodes.shards(), Some(CLUSTER.into()))).collect();
    let preparing: Vec<_> =
        clusters.into_iter().map(|c| nodes.runtime.spawn(async move { c.prepare().await })).collect();
    let ran: usize = preparing.into_iter().map(|p| nodes.runtime.block_on(p).unwrap().unwrap().ran).sum();
    assert_eq!(ran, 2 * MIGRATIONS.len());
    for node in &nodes.nodes {
        let noted = node.count(&nodes.runtime, "sotto", "SELECT count() FROM schema_migrations");
        assert_eq!(noted, MIGRATIONS.len() as u64, "each migration once");
        let locks = "SELECT count() FROM system.tables WHERE name LIKE 'schema_lock%'";
        assert_eq!(node.count(&nodes.runtime, "sotto", locks), 0, "the lock is released");
    }
    // A new table must say where it is: by a column `site`, or in HOME_TABLES.
    let unreadable = "SELECT name FROM system.tables WHERE database = 'sotto' AND engine NOT LIKE '%View' \
                      AND name NOT IN ('schema_migrations', 'cluster_layout') \
                      AND name NOT IN (SELECT name FROM system.tables WHERE database = 'sotto_all')";
    let db = nodes.nodes[0].db();
    let unreadable: Vec<String> = nodes.runtime.block_on(db.query(unreadable).fetch_all()).unwrap();
    assert_eq!(unreadable, Vec::<String>::new(), "reports can read every table");
    let again = Cluster::new(nodes.shards(), Some(CLUSTER.into()));
    assert_eq!(nodes.runtime.block_on(again.prepare()).unwrap(), Default::default(), "nothing is left to do");
}

#[test]
fn lock_of_a_program_that_died_is_taken_over_and_not_before() {
    let nodes = Nodes::start(1);
    let db = nodes.nodes[0].db();
    let lease = Duration::from_secs(2);
    nodes.runtime.block_on(migrate::migrate(&db)).unwrap();
    // The holder lives as long as its runtime does.
    let holder = Runtime::new().unwrap();
    // And its connections do, so it shares none.
    let held = holder.block_on(Lock::take(&nodes.nodes[0].db(), lease)).unwrap();
    let other = db.clone();
    let waiting = nodes.runtime.spawn(async move { Lock::take(&other, lease).await });
    let until = Instant::now() + 2 * lease;
    wait_for("twice the lease of a living holder", || {
        nodes.runtime.block_on(held.check()).unwrap();
        assert!(!waiting.is_finished(), "the lock of a living holder is not taken over");
        (Instant::now() > until).then_some(())
    });
    holder.shutdown_background();
    let second = nodes.runtime.block_on(waiting).unwrap().unwrap();
    let lost = nodes.runtime.block_on(held.check());
    assert!(matches!(lost, Err(LockError::Lost)), "the one that was silent notices: {lost:?}");
    nodes.runtime.block_on(async {
        second.check().await.unwrap();
        second.release().await.unwrap();
        Lock::take(&db, lease).await.unwrap().release().await.unwrap();
    });
}

#[test]
fn servers_in_another_order_or_number_stop_the_start() {
    let nodes = Nodes::start(2);
    let prepare = |shards: Vec<Vec<Access>>| {
        nodes.runtime.block_on(Cluster::new(shards, Some(CLUSTER.into())).prepare())
    };
    prepare(nodes.shards()).unwrap();
    let mut swapped = nodes.shards();
    swapped.swap(0, 1);
    let fewer = nodes.shards()[..1].to_vec();
    for shards in [swapped, fewer] {
        let error = prepare(shards).unwrap_err();
        assert!(matches!(error, MigrateError::OtherPlace { .. }), "{error}");
        assert!(error.to_string().contains("of 2"), "{error}");
    }
}

#[test]
fn replicas_without_keeper_stop_the_start() {
    let nodes = Nodes::start(2);
    let replicas = vec![nodes.shards().concat()];
    let error = nodes.runtime.block_on(Cluster::new(replicas, None).prepare()).unwrap_err();
    assert!(matches!(&error, MigrateError::NoKeeper { .. }), "{error}");
}

#[test]
fn replicated_tables_are_taken_up_to_the_point_where_keeper_is_looked_for() {
    let nodes = Nodes::start(1);
    let db = nodes.nodes[0].db();
    nodes.runtime.block_on(async {
        db.without_database().query("CREATE DATABASE sotto").execute().await.unwrap();
        for migration in MIGRATIONS {
            for statement in
                migrate::statements(migration.sql).iter().filter(|s| s.starts_with("CREATE TABLE"))
            {
                let statement = replicated(statement, Place { shard: 0, replica: 1 });
                let error = db.query(&statement).execute().await.unwrap_err().to_string();
                assert!(error.contains("NO_ZOOKEEPER"), "{}: {statement}: {error}", migration.name);
            }
        }
    });
}

#[test]
fn batch_goes_to_another_replica_under_the_same_token() {
    // Two doors to one server stand for two replicas, which know each other's tokens through Keeper.
    let nodes = Nodes::start(1);
    let url = nodes.nodes[0].engine.as_ref().unwrap().databases().writer.access().url;
    let doors = [Road::to(&[&url]), Road::to(&[&url])];
    let access = |road: &Road| Access { url: road.url(), ..nodes.nodes[0].access("sotto") };
    let replicas: Vec<Access> = doors.iter().map(access).collect();
    let data = tempfile::tempdir().unwrap();
    let settings = |name: &str| spool::Settings {
        dir: data.path().join(name),
        segment_bytes: 1 << 20,
        bytes_max: 1 << 24,
        columns: COLUMNS.into(),
    };
    let shipper = |reader, replicas: &[Access]| {
        Shipper::new(reader, Db::replicated(replicas.to_vec(), &[]), Duration::ZERO, 100, Arc::default())
    };
    nodes.runtime.block_on(async {
        migrate::migrate(&Db::new(replicas[0].clone())).await.unwrap();
        let (spool, reader) = spool::open(settings("spool")).unwrap();
        let mut append = spool::Append::default();
        for site in 1..=10 {
            let event =
                Event { site: SiteId(site), day: Day(20_000), expires: Day(60_000), ..Event::default() };
            assert!(append.record(None, |out| event.encode(out)).is_some());
        }
        spool.append(append).await.unwrap();
        drop((spool, reader));
        // What the spool was before the batch was known to be there: as after a crash, or an answer that got lost.
        copy(&data.path().join("spool"), &data.path().join("before"));
        let (_spool, reader) = spool::open(settings("spool")).unwrap();
        assert_eq!(shipper(reader, &replicas[..1]).ship_one().await.unwrap(), Progress::Shipped(10));
        doors[0].cut();
        let (spool, reader) = spool::open(settings("before")).unwrap();
        let mut again = shipper(reader, &replicas);
        assert!(matches!(again.ship_one().await, Err(ShipError::Insert(_))), "the first replica is away");
        let stop = tokio_util::sync::CancellationToken::new();
        let shipping = tokio::spawn(again.run(stop.clone()));
        tokio::time::timeout(sotto_tests::PATIENCE, spool.shipped_up_to(11))
            .await
            .expect("the other replica takes it");
        stop.cancel();
        assert_eq!(shipping.await.unwrap().waiting(), 0);
    });
    assert_eq!(nodes.nodes[0].count(&nodes.runtime, "sotto", ROWS), 10, "once");
}

fn copy(from: &PathBuf, to: &PathBuf) {
    fs::create_dir_all(to).unwrap();
    for entry in fs::read_dir(from).unwrap().flatten() {
        fs::copy(entry.path(), to.join(entry.file_name())).unwrap();
    }
}
