//! A TCP proxy that can be cut: a network that goes away and comes back.

use std::{
    io::{self, Read, Write},
    net::{Shutdown, SocketAddr, TcpListener, TcpStream},
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
    thread,
};

/// Forwards connections until it is cut.
pub struct Proxy {
    address: SocketAddr,
    shared: Arc<Shared>,
}

struct Shared {
    to: SocketAddr,
    cut: AtomicBool,
    /// How many more statements that write are forwarded before it is cut.
    left: AtomicUsize,
    open: Mutex<Vec<TcpStream>>,
}

impl Proxy {
    /// A proxy in front of `url`.
    ///
    /// # Panics
    /// When `url` is not like `http://127.0.0.1:40001`, or no port is free.
    pub fn start(url: &str) -> Self {
        let to = url.trim_start_matches("http://").parse().expect("an address");
        let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
        let address = listener.local_addr().expect("an address");
        let shared = Arc::new(Shared {
            to,
            cut: AtomicBool::new(false),
            left: AtomicUsize::new(usize::MAX),
            open: Mutex::default(),
        });
        let accepting = shared.clone();
        thread::spawn(move || {
            for client in listener.incoming().flatten() {
                let shared = accepting.clone();
                // A connection that cannot be forwarded is closed; the client sees that.
                thread::spawn(move || shared.forward(client));
            }
        });
        Self { address, shared }
    }

    /// Where it listens.
    pub fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// Closes all connections and stops forwarding.
    pub fn cut(&self) {
        self.shared.cut();
    }

    /// Forwards this many more statements of ClickHouse that write; before the next one everything is cut.
    pub fn cut_after(&self, writes: usize) {
        self.shared.left.store(writes, Ordering::SeqCst);
    }

    /// Resumes forwarding.
    pub fn mend(&self) {
        self.shared.left.store(usize::MAX, Ordering::SeqCst);
        self.shared.cut.store(false, Ordering::SeqCst);
    }
}

impl Shared {
    fn cut(&self) {
        self.cut.store(true, Ordering::SeqCst);
        for stream in self.open.lock().unwrap_or_else(PoisonError::into_inner).drain(..) {
            let _closed = stream.shutdown(Shutdown::Both);
        }
    }

    /// Whether what a client sent next may pass. A request begins what is read at once, since a client waits for the
    /// answer to the one before; its statement is in its address or follows in the same piece.
    fn lets_pass(&self, sent: &[u8]) -> bool {
        let text = String::from_utf8_lossy(sent);
        let writes =
            text.starts_with("POST ") && ["INSERT", "ALTER", "DELETE"].iter().any(|w| text.contains(w));
        let take = |left: usize| left.checked_sub(1);
        !writes || self.left.fetch_update(Ordering::SeqCst, Ordering::SeqCst, take).is_ok()
    }

    fn forward(&self, client: TcpStream) -> io::Result<()> {
        let server = TcpStream::connect(self.to)?;
        {
            let mut open = self.open.lock().unwrap_or_else(PoisonError::into_inner);
            if self.cut.load(Ordering::SeqCst) {
                return Ok(());
            }
            open.extend([client.try_clone()?, server.try_clone()?]);
        }
        let (mut from_client, mut to_server) = (client.try_clone()?, server.try_clone()?);
        let mut upward = |shared: &Self| {
            let mut buffer = vec![0; 64 << 10];
            while let Ok(n @ 1..) = from_client.read(&mut buffer) {
                if !shared.lets_pass(&buffer[..n]) {
                    shared.cut();
                    break;
                }
                if to_server.write_all(&buffer[..n]).is_err() {
                    break;
                }
            }
            let _closed = to_server.shutdown(Shutdown::Write);
        };
        let (mut from_server, mut to_client) = (server, client);
        thread::scope(|scope| {
            scope.spawn(|| upward(self));
            let _ended = io::copy(&mut from_server, &mut to_client);
            let _closed = to_client.shutdown(Shutdown::Both);
        });
        Ok(())
    }
}
