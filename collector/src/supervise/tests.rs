//! Tasks and threads that panic and return, killed from inside.

use std::{
    io::{Read, Write},
    sync::{
        Mutex,
        atomic::{AtomicUsize, Ordering},
    },
};

use tokio::sync::mpsc;

use super::{board::PartEnded, *};
use crate::http::{server, stack};

/// At once, so that tests do not wait.
const AT_ONCE: Backoff = Backoff { min: Duration::ZERO, max: Duration::ZERO };
/// Never, as far as a test can tell.
const NEVER: Backoff = Backoff { min: Duration::from_secs(3_600), max: Duration::from_secs(3_600) };
const PATIENCE: Duration = Duration::from_secs(30);

fn supervisor(backoff: Backoff) -> (Arc<Board>, Supervisor) {
    let board = Arc::new(Board::default());
    (board.clone(), Supervisor::new(board, backoff))
}

async fn within<T>(what: &str, future: impl Future<Output = T>) -> T {
    tokio::time::timeout(PATIENCE, future).await.unwrap_or_else(|_| panic!("waited in vain for {what}"))
}

async fn stopped(supervisor: &Supervisor) {
    supervisor.stop();
    within("the end", supervisor.ended()).await;
}

fn down(board: &Board) -> Vec<&'static str> {
    board.down().map(Part::name).collect()
}

#[test]
fn parts_have_names_of_their_own_and_stand_in_their_order() {
    let names: std::collections::BTreeSet<_> = Part::ALL.iter().map(|part| part.name()).collect();
    assert_eq!(names.len(), Part::ALL.len());
    assert!(Part::ALL.iter().enumerate().all(|(n, part)| *part as usize == n));
}

#[tokio::test]
async fn task_that_panics_or_returns_is_started_again_and_counted() {
    let (board, supervisor) = supervisor(AT_ONCE);
    let (runs, mut seen) = mpsc::unbounded_channel();
    let mut run = 0;
    let stop = supervisor.stopping().clone();
    supervisor.keep(Part::Rules, move || {
        run += 1;
        let (run, runs, stop) = (run, runs.clone(), stop.clone());
        async move {
            runs.send(run).unwrap();
            match run {
                1 => panic!("killed from inside"),
                2 => {}
                _ => stop.cancelled().await,
            }
        }
    });
    for expected in 1..=3 {
        assert_eq!(within("a run", seen.recv()).await, Some(expected));
    }
    assert_eq!(board.ends(Part::Rules), 2);
    assert_eq!(down(&board), [""; 0], "it runs again");
    stopped(&supervisor).await;
    assert_eq!(board.ends(Part::Rules), 2, "an end that was asked for is none");
}

#[tokio::test]
async fn task_that_cannot_be_made_is_tried_again() {
    let (board, supervisor) = supervisor(AT_ONCE);
    let (made, mut seen) = mpsc::unbounded_channel();
    let mut run = 0;
    supervisor.keep(Part::Admin, move || {
        run += 1;
        assert!(run > 1, "killed while it is made");
        made.send(()).unwrap();
        std::future::pending()
    });
    within("the second attempt", seen.recv()).await.unwrap();
    assert_eq!(board.ends(Part::Admin), 1);
}

#[tokio::test]
async fn panic_of_one_job_leaves_the_others_running_and_shows_until_it_is_back() {
    let (board, supervisor) = supervisor(NEVER);
    let (ticks, mut seen) = mpsc::channel(1);
    let made = Arc::new(AtomicUsize::new(0));
    let count = made.clone();
    supervisor.keep(Part::Storing, move || {
        count.fetch_add(1, Ordering::Relaxed);
        let ticks = ticks.clone();
        async move { while ticks.send(()).await.is_ok() {} }
    });
    supervisor.keep(Part::Ageing, || async { panic!("killed from inside") });
    within("the panic to be noticed", async {
        while board.ends(Part::Ageing) == 0 {
            seen.recv().await.unwrap();
        }
    })
    .await;
    for _ in 0..10 {
        within("the other job", seen.recv()).await.unwrap();
    }
    assert_eq!(made.load(Ordering::Relaxed), 1, "it was never made anew");
    assert_eq!((down(&board), board.down_count()), (vec!["ageing"], 1));
    assert_eq!(board.ends(Part::Storing), 0);
    drop(seen);
    stopped(&supervisor).await;
}

#[tokio::test]
async fn task_that_is_done_is_left_alone_and_one_that_panics_is_not() {
    let (board, supervisor) = supervisor(AT_ONCE);
    let run = Arc::new(AtomicUsize::new(0));
    let count = run.clone();
    supervisor.finish(Part::Migrations, move || {
        let run = count.fetch_add(1, Ordering::Relaxed);
        async move { assert!(run > 0, "killed from inside") }
    });
    within("it to be done", supervisor.ended()).await;
    assert_eq!((run.load(Ordering::Relaxed), board.ends(Part::Migrations)), (2, 1));
}

#[tokio::test]
async fn task_that_cannot_be_started_again_ends_the_program() {
    for panics in [true, false] {
        let (board, supervisor) = supervisor(AT_ONCE);
        let task = supervisor.need(Part::Shipper, async move { assert!(!panics, "killed from inside") });
        let part = within("the failure", board.failed()).await;
        assert_eq!(part, Part::Shipper);
        assert_eq!(task.await.unwrap(), None);
        assert_eq!((board.ends(Part::Shipper), down(&board)), (1, vec!["shipper"]));
        assert!(PartEnded(part).to_string().starts_with("shipper ended without being told to"));
    }
}

#[tokio::test]
async fn needed_task_that_is_told_to_end_gives_its_value() {
    let (board, supervisor) = supervisor(AT_ONCE);
    let stop = supervisor.stopping().clone();
    let task = supervisor.need(Part::Shipper, async move {
        stop.cancelled().await;
        7
    });
    stopped(&supervisor).await;
    assert_eq!((task.await.unwrap(), board.ends(Part::Shipper)), (Some(7), 0));
}

#[tokio::test]
async fn task_that_does_not_end_is_cut() {
    let (board, supervisor) = supervisor(AT_ONCE);
    supervisor.keep(Part::Storing, std::future::pending);
    supervisor.stop();
    assert!(!supervisor.ended_within(Duration::ZERO).await);
    within("it to be cut", supervisor.ended()).await;
    assert_eq!(board.ends(Part::Storing), 0);
}

#[tokio::test]
async fn thread_that_panics_or_fails_is_started_again_and_counted() {
    let (board, supervisor) = supervisor(AT_ONCE);
    let (runs, mut seen) = mpsc::unbounded_channel();
    let (release, wait) = std::sync::mpsc::channel::<()>();
    let mut run = 0;
    let start = supervisor.thread(Part::Worker, "worker-0".into(), move || {
        run += 1;
        runs.send(run).unwrap();
        match run {
            1 => panic!("killed from inside"),
            2 => Err(io::ErrorKind::Other.into()),
            // Until the test lets go.
            _ => wait.recv().map_err(io::Error::other),
        }
    });
    start.unwrap();
    for expected in 1..=3 {
        assert_eq!(within("a run", seen.recv()).await, Some(expected));
    }
    assert_eq!((board.ends(Part::Worker), board.down_count()), (2, 0));
    supervisor.stop();
    release.send(()).unwrap();
    within("the end", supervisor.ended()).await;
}

#[tokio::test]
async fn thread_that_waits_to_be_started_again_ends_at_a_stop() {
    let (board, supervisor) = supervisor(NEVER);
    supervisor.thread(Part::Worker, "worker-0".into(), || panic!("killed from inside")).unwrap();
    within("the panic to be noticed", async {
        while board.down_count() == 0 {
            tokio::task::yield_now().await;
        }
    })
    .await;
    stopped(&supervisor).await;
}

/// A worker is killed; a connection that came while it was down is answered by the next one on the same socket.
#[tokio::test]
async fn connection_that_waits_while_a_worker_is_down_is_answered() {
    let (board, supervisor) = supervisor(AT_ONCE);
    let listener = server::listen_alone(([127, 0, 0, 1], 0).into()).unwrap();
    let address = listener.local_addr().unwrap();
    let service = stack::boxed(tower::service_fn(async |_| Ok(stack::text(http::StatusCode::OK, "here\n"))));
    let terms: server::Terms = (&crate::config::Server::default()).into();
    let stop = supervisor.stopping().clone();
    let waiting = Arc::new(Mutex::new(None));
    let (connect, mut is_first) = (waiting.clone(), true);
    let run = move || {
        if std::mem::take(&mut is_first) {
            let mut stream = std::net::TcpStream::connect(address)?;
            stream.write_all(b"GET / HTTP/1.1\r\nhost: a.example\r\nconnection: close\r\n\r\n")?;
            *connect.lock().unwrap() = Some(stream);
            panic!("killed from inside");
        }
        server::run_worker(
            listener.try_clone()?,
            service.clone(),
            terms.clone(),
            stop.clone(),
            std::future::pending(),
        )
    };
    supervisor.thread(Part::Worker, "worker-0".into(), run).unwrap();
    let answer = tokio::task::spawn_blocking(move || {
        let deadline = Instant::now() + PATIENCE;
        let mut stream = loop {
            assert!(Instant::now() < deadline, "the worker did not run");
            match waiting.lock().unwrap().take() {
                Some(stream) => break stream,
                None => std::thread::yield_now(),
            }
        };
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).unwrap();
        answer
    });
    let answer = answer.await.unwrap();
    assert!(answer.starts_with("HTTP/1.1 200") && answer.ends_with("here\n"), "{answer}");
    assert_eq!(board.ends(Part::Worker), 1);
    stopped(&supervisor).await;
    assert!(std::net::TcpStream::connect(address).is_err(), "a stop closes the socket");
}

#[test]
fn pauses_grow_up_to_their_limit_and_begin_anew_after_a_long_run() {
    let second = Duration::from_secs(1);
    let mut pauses = Pauses::new(Backoff { min: second, max: 5 * second });
    for (ran, pause) in [(0, 1), (0, 2), (0, 4), (0, 5), (5, 5), (6, 1), (0, 2)] {
        assert_eq!(pauses.after(second * ran), second * pause, "after {ran} s");
    }
}
