//! Hits per second over TLS against plain ones, in the same minute: two Sottos that differ in nothing else.

use std::{
    fs,
    sync::{Arc, atomic::AtomicBool},
    time::Duration,
};

use rcgen::{CertificateParams, KeyPair};
use sotto_tests::{
    Sotto, Speech,
    load::{self, Load, Target},
    wire,
};

use crate::process::cpu;

const ROUNDS: usize = 2;
const ROUND: Duration = Duration::from_secs(6);
/// Every simulated browser has its own connection.
const CONNECTIONS: usize = 128;

/// The whole comparison, printed.
pub fn run() {
    let dir = tempfile::tempdir().unwrap();
    let key = KeyPair::generate().unwrap();
    let own = CertificateParams::new([wire::HOST.to_owned()]).unwrap().self_signed(&key).unwrap();
    let (certificate, private) = (dir.path().join("own.pem"), dir.path().join("own.key"));
    fs::write(&certificate, own.pem()).unwrap();
    fs::write(&private, key.serialize_pem()).unwrap();
    let plain = Sotto::start_as_configured("");
    let tls = Sotto::start_as_configured(&format!(
        "[tls]\ncertificate = \"{}\"\nkey = \"{}\"\n",
        certificate.display(),
        private.display()
    ));
    let servers = [
        ("plain, HTTP/1.1", &plain, Speech::Plain),
        ("TLS, HTTP/1.1", &tls, Speech::trusting(own.der().clone(), false)),
        ("TLS, HTTP/2", &tls, Speech::trusting(own.der().clone(), true)),
    ];
    let sites = [plain.add_site("a.example", &[]), tls.add_site("a.example", &[])];
    println!(
        "{CONNECTIONS} connections that stay open, {} s each, generator on the same cores",
        ROUND.as_secs()
    );
    println!("{:<18} {:>8} {:>8} {:>8} {:>8}", "", "hits/s", "ratio", "us/hit", "cpu x");
    let mut first = 1;
    for _ in 0..ROUNDS {
        let mut before = None;
        for (n, (name, sotto, speech)) in servers.iter().enumerate() {
            let load = Load {
                target: Target::new(&sotto.url).speaking(speech.clone()),
                site: sites[n.min(1)].clone(),
                connections: CONNECTIONS,
                rate: None,
                time: ROUND,
                threads: 2,
                first,
                reconnect: false,
            };
            let began = cpu(sotto.pid());
            let sent = load::run(&load, &Arc::new(AtomicBool::new(false)));
            let us = (cpu(sotto.pid()) - began).as_secs_f64() * 1e6 / sent.acknowledged.len() as f64;
            first += (sent.acknowledged.len() + sent.refused.len() + sent.unanswered.len()) as u64;
            assert!(
                sent.refused.is_empty() && sent.unanswered.is_empty(),
                "{name}: {} refused, {} unanswered",
                sent.refused.len(),
                sent.unanswered.len()
            );
            let (rate, base_us) = *before.get_or_insert((sent.rate(), us));
            println!(
                "{name:<18} {:>8.0} {:>8.2} {us:>8.2} {:>8.2}",
                sent.rate(),
                sent.rate() / rate,
                us / base_us
            );
        }
    }
}
