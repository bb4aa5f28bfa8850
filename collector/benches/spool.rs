//! How many hits a second become durable, with as many waiting as a busy server has. Prints one line per case.

#![allow(clippy::print_stdout, clippy::unwrap_used)] // A measurement answers on standard output.

use std::time::{Duration, Instant};

use sotto_collector::spool::{self, Append, Key, Settings};
use sotto_schema::id::{SiteId, ViewId};

const WAITING: u64 = 64;
const ROW: [u8; 320] = [7; 320];
const TIME: Duration = Duration::from_secs(3);

async fn appends(dir: &std::path::Path, with_keys: bool) -> f64 {
    let settings =
        Settings { dir: dir.into(), segment_bytes: 32 << 20, bytes_max: 8 << 30, columns: "x".into() };
    let (spool, _reader) = spool::open(settings).unwrap();
    let began = Instant::now();
    let clients: Vec<_> = (0..WAITING)
        .map(|client| {
            let spool = spool.clone();
            tokio::spawn(async move {
                let mut count = 0u64;
                while began.elapsed() < TIME {
                    count += 1;
                    let mut append = Append::default();
                    let key = Key { site: SiteId(client), view: ViewId(count), seq: 0 };
                    append.record(with_keys.then_some(key), |out| out.extend_from_slice(&ROW));
                    spool.append(append).await.unwrap();
                }
                count
            })
        })
        .collect();
    let mut all = 0;
    for client in clients {
        all += client.await.unwrap();
    }
    all as f64 / began.elapsed().as_secs_f64()
}

fn main() {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    for (case, with_keys) in [("appends/s", false), ("appends/s, each with a key", true)] {
        let dir = tempfile::tempdir().unwrap();
        println!("{:<28} {:>10.0}", case, runtime.block_on(appends(dir.path(), with_keys)));
    }
}
