//! A TCP relay: a round-robin balancer over several targets, or a link that can be cut.

use std::{
    io,
    net::{Shutdown, SocketAddr, TcpListener, TcpStream},
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, Ordering},
    },
    thread::JoinHandle,
};

#[derive(Default)]
struct Traffic {
    /// Targets of new connections, in turn; empty while the link is cut.
    targets: Vec<String>,
    next: usize,
    open: Vec<TcpStream>,
}

/// A listener that forwards connections to its targets in turn. Closed when dropped.
pub struct Road {
    address: SocketAddr,
    traffic: Arc<Mutex<Traffic>>,
    stop: Arc<AtomicBool>,
    serving: Option<JoinHandle<()>>,
}

impl Road {
    /// A relay without targets yet.
    pub fn build() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let (traffic, stop) = (Arc::<Mutex<Traffic>>::default(), Arc::new(AtomicBool::new(false)));
        let (carried, stopped) = (traffic.clone(), stop.clone());
        let serving = std::thread::spawn(move || {
            for stream in listener.incoming().map_while(Result::ok) {
                if stopped.load(Ordering::Acquire) {
                    return;
                }
                // A target that does not answer looks like a cut link.
                let _refused = carry(stream, &carried);
            }
        });
        Self { address, traffic, stop, serving: Some(serving) }
    }

    /// A relay to `targets`, like `127.0.0.1:40001`, in turn.
    pub fn to(targets: &[&str]) -> Self {
        let road = Self::build();
        road.lead_to(targets);
        road
    }

    /// Host and port of the listener.
    pub fn address(&self) -> String {
        self.address.to_string()
    }

    /// The listener's URL.
    pub fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// Sends new connections to other targets.
    pub fn lead_to(&self, targets: &[&str]) {
        let targets = targets.iter().map(|t| t.trim_start_matches("http://").to_owned()).collect();
        self.traffic.lock().unwrap().targets = targets;
    }

    /// Closes all connections and lets none through until [`Road::lead_to`].
    pub fn cut(&self) {
        let mut traffic = self.traffic.lock().unwrap();
        traffic.targets.clear();
        for stream in traffic.open.drain(..) {
            // It may already be closed.
            let _gone = stream.shutdown(Shutdown::Both);
        }
    }
}

impl Drop for Road {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Release);
        self.cut();
        // Wakes the listener.
        let _refused = TcpStream::connect(self.address);
        if let Some(serving) = self.serving.take() {
            let _panicked = serving.join();
        }
    }
}

fn carry(from: TcpStream, traffic: &Mutex<Traffic>) -> io::Result<()> {
    let mut traffic = traffic.lock().unwrap();
    if traffic.targets.is_empty() {
        return Ok(());
    }
    // A closed connection has no peer any more.
    traffic.open.retain(|stream| stream.peer_addr().is_ok());
    traffic.next = (traffic.next + 1) % traffic.targets.len();
    let to = TcpStream::connect(&traffic.targets[traffic.next])?;
    for stream in [&from, &to] {
        stream.set_nodelay(true)?;
        traffic.open.push(stream.try_clone()?);
    }
    for (mut source, mut sink) in [(from.try_clone()?, to.try_clone()?), (to, from)] {
        std::thread::spawn(move || {
            let _ended = io::copy(&mut source, &mut sink);
            let _closed = sink.shutdown(Shutdown::Write);
        });
    }
    Ok(())
}
