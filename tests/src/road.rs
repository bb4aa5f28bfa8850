//! A road for TCP connections: a round-robin balancer over several targets, or a cable that can be cut.

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
    /// Where connections lead, in turn; nowhere while the road is cut.
    targets: Vec<String>,
    next: usize,
    open: Vec<TcpStream>,
}

/// A listener whose connections lead to one of its targets after the other. Gone when dropped.
pub struct Road {
    address: SocketAddr,
    traffic: Arc<Mutex<Traffic>>,
    stop: Arc<AtomicBool>,
    serving: Option<JoinHandle<()>>,
}

impl Road {
    /// A road that leads nowhere yet.
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
                // A target that does not answer is what a cut road looks like.
                let _refused = carry(stream, &carried);
            }
        });
        Self { address, traffic, stop, serving: Some(serving) }
    }

    /// A road to `targets`, like `127.0.0.1:40001`, in turn.
    pub fn to(targets: &[&str]) -> Self {
        let road = Self::build();
        road.lead_to(targets);
        road
    }

    /// Host and port of its beginning.
    pub fn address(&self) -> String {
        self.address.to_string()
    }

    /// Its beginning as a URL.
    pub fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// Leads new connections elsewhere.
    pub fn lead_to(&self, targets: &[&str]) {
        let targets = targets.iter().map(|t| t.trim_start_matches("http://").to_owned()).collect();
        self.traffic.lock().unwrap().targets = targets;
    }

    /// Ends all connections and lets none through until [`Road::lead_to`].
    pub fn cut(&self) {
        let mut traffic = self.traffic.lock().unwrap();
        traffic.targets.clear();
        for stream in traffic.open.drain(..) {
            // It may have ended by itself.
            let _gone = stream.shutdown(Shutdown::Both);
        }
    }
}

impl Drop for Road {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Release);
        self.cut();
        // Wakes the listener up.
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
    // A connection that has ended has no other end any more.
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
