//! A TCP proxy that can be cut: a network that goes away and comes back.

use std::{
    io,
    net::{Shutdown, SocketAddr, TcpListener, TcpStream},
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicBool, Ordering},
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
        let shared = Arc::new(Shared { to, cut: AtomicBool::new(false), open: Mutex::default() });
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
        self.shared.cut.store(true, Ordering::SeqCst);
        for stream in self.shared.open.lock().unwrap_or_else(PoisonError::into_inner).drain(..) {
            let _closed = stream.shutdown(Shutdown::Both);
        }
    }

    /// Resumes forwarding.
    pub fn mend(&self) {
        self.shared.cut.store(false, Ordering::SeqCst);
    }
}

impl Shared {
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
        let upward = thread::spawn(move || {
            let _ended = io::copy(&mut from_client, &mut to_server);
            let _closed = to_server.shutdown(Shutdown::Write);
        });
        let (mut from_server, mut to_client) = (server, client);
        let _ended = io::copy(&mut from_server, &mut to_client);
        let _closed = to_client.shutdown(Shutdown::Both);
        let _joined = upward.join();
        Ok(())
    }
}
