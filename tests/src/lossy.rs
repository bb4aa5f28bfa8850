//! A proxy in front of ClickHouse that loses the response to one request: the server has executed it, and the
//! client does not know.

use std::{
    io::{self, Read, Write},
    net::{Shutdown, SocketAddr, TcpListener, TcpStream},
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
};

/// Forwards everything except the response to the first insert into a table.
pub struct Lossy {
    address: SocketAddr,
    seen: Arc<AtomicUsize>,
}

impl Lossy {
    /// A proxy in front of `url` that loses the first response to an insert into `table`.
    pub fn before(url: &str, table: &str) -> Self {
        let to: SocketAddr = url.trim_start_matches("http://").parse().unwrap();
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let (seen, table) = (Arc::<AtomicUsize>::default(), table.to_owned());
        let counted = seen.clone();
        std::thread::spawn(move || {
            for client in listener.incoming().map_while(Result::ok) {
                let (seen, table) = (counted.clone(), table.clone());
                // A connection that cannot be forwarded is closed; the client sees that.
                std::thread::spawn(move || forward(client, to, &table, &seen));
            }
        });
        Self { address, seen }
    }

    /// Where it listens.
    pub fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// How many inserts into the table passed through.
    pub fn inserts(&self) -> usize {
        self.seen.load(Ordering::SeqCst)
    }
}

fn forward(client: TcpStream, to: SocketAddr, table: &str, seen: &AtomicUsize) -> io::Result<()> {
    let server = TcpStream::connect(to)?;
    let (mut from_server, mut to_client) = (server.try_clone()?, client.try_clone()?);
    let (mut from_client, mut to_server) = (client, server);
    let is_lost = std::sync::atomic::AtomicBool::new(false);
    std::thread::scope(|scope| {
        scope.spawn(|| {
            let mut buffer = vec![0; 64 << 10];
            while let Ok(n @ 1..) = from_client.read(&mut buffer) {
                let text = String::from_utf8_lossy(&buffer[..n]);
                let head = text.lines().next().unwrap_or_default();
                if head.starts_with("POST ") && head.contains("INSERT") && head.contains(table) {
                    is_lost.store(seen.fetch_add(1, Ordering::SeqCst) == 0, Ordering::SeqCst);
                }
                if to_server.write_all(&buffer[..n]).is_err() {
                    break;
                }
            }
            let _closed = to_server.shutdown(Shutdown::Write);
        });
        let mut buffer = vec![0; 64 << 10];
        while let Ok(n @ 1..) = from_server.read(&mut buffer) {
            if is_lost.load(Ordering::SeqCst) || to_client.write_all(&buffer[..n]).is_err() {
                break;
            }
        }
        let _closed = to_client.shutdown(Shutdown::Both);
    });
    Ok(())
}
