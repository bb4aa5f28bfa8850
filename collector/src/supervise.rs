//! Supervises every task and thread of the program. One that ends without being told to (it returned or
//! panicked) is counted and shown in `/readyz` while it is down. It is then either restarted, or the program
//! exits with code 1 so that its service manager restarts it. Each [`Part`] documents which of the two, and
//! why.
//!
//! **Promises.** A panic of one task takes no other down. Pauses between restarts grow up to [`Backoff::max`].
//!
//! It knows the names of the parts, not what they do. Debug builds can kill a task from inside ([`Board::kill`]); release
//! builds have no such thing.
//!
//! **Not supervised separately**: the handling of one connection, one request or one call of another
//! collector. It ends with it; a panic there is counted in `sotto_panics_total` or closes the connection.
//!
//! **Proof**: `supervise/tests.rs`, `tests/suite/supervision.rs`.

use std::{
    io,
    panic::AssertUnwindSafe,
    sync::Arc,
    time::{Duration, Instant},
};

use futures_util::FutureExt;
use tokio::{runtime::Handle, task::JoinHandle};
use tokio_util::{sync::CancellationToken, task::TaskTracker};

pub mod board;
mod own_processor;
pub mod prompt;
#[cfg(test)]
mod tests;

pub use board::{Board, Part};
pub use own_processor::own_processor;
pub use prompt::prompt;

/// How long a task that ended waits before it is started again.
#[derive(Debug, Clone, Copy)]
pub struct Backoff {
    /// After the first end.
    pub min: Duration,
    /// After many. A task that ran for longer than this begins with `min` again.
    pub max: Duration,
}

impl Default for Backoff {
    fn default() -> Self {
        Self { min: Duration::from_millis(100), max: Duration::from_secs(30) }
    }
}

/// Watches tasks and threads that stop together.
#[derive(Debug)]
pub struct Supervisor {
    board: Arc<Board>,
    backoff: Backoff,
    stop: CancellationToken,
    /// Aborts tasks that do not end by themselves after a stop.
    cut: CancellationToken,
    tasks: TaskTracker,
}

impl Supervisor {
    /// Watches nothing yet; writes on `board` what happens.
    pub fn new(board: Arc<Board>, backoff: Backoff) -> Self {
        let (stop, cut) = Default::default();
        Self { board, backoff, stop, cut, tasks: TaskTracker::new() }
    }

    /// Cancelled when the tasks shall end.
    pub fn stopping(&self) -> &CancellationToken {
        &self.stop
    }

    /// Tells all tasks to end.
    pub fn stop(&self) {
        self.stop.cancel();
    }

    /// Waits until all tasks have ended, after [`Supervisor::stop`].
    pub async fn ended(&self) {
        self.tasks.close();
        self.tasks.wait().await;
    }

    /// The same for at most `patience`; then the remaining tasks are aborted. Returns whether all ended by
    /// themselves.
    pub async fn ended_within(&self, patience: Duration) -> bool {
        let ended = tokio::time::timeout(patience, self.ended()).await.is_ok();
        self.cut.cancel();
        ended
    }

    /// Runs a task for as long as the program runs. When it ends it is recreated and run again.
    pub fn keep<F>(&self, part: Part, make: impl FnMut() -> F + Send + 'static)
    where
        F: Future<Output = ()> + Send,
    {
        self.restart(part, make, false);
    }

    /// Runs a task until it completes. When it panics it is recreated and run again.
    pub fn finish<F>(&self, part: Part, make: impl FnMut() -> F + Send + 'static)
    where
        F: Future<Output = ()> + Send,
    {
        self.restart(part, make, true);
    }

    fn restart<F>(&self, part: Part, mut make: impl FnMut() -> F + Send + 'static, may_return: bool)
    where
        F: Future<Output = ()> + Send,
    {
        let (board, stop, cut) = (self.board.clone(), self.stop.clone(), self.cut.clone());
        let mut pauses = Pauses::new(self.backoff);
        let kept = async move {
            loop {
                let began = Instant::now();
                let run = async { until_killed(&board, part, make()).await };
                let ended = AssertUnwindSafe(run).catch_unwind().await;
                if stop.is_cancelled() || (may_return && ended.is_ok()) {
                    return;
                }
                let down = board.ended(part);
                let pause = pauses.after(began.elapsed());
                say_restart(part, how(&ended), pause);
                tokio::select! {
                    () = stop.cancelled() => return,
                    () = tokio::time::sleep(pause) => drop(down),
                }
            }
        };
        self.tasks.spawn(async move {
            tokio::select! {
                () = kept => {}
                () = cut.cancelled() => {}
            }
        });
    }

    /// Runs a task that cannot be restarted: if it ends before the stop, so does the program. Yields its
    /// value if it was told to end.
    pub fn need<F>(&self, part: Part, task: F) -> JoinHandle<Option<F::Output>>
    where
        F: Future<Output: Send> + Send + 'static,
    {
        let (board, stop) = (self.board.clone(), self.stop.clone());
        self.tasks.spawn(async move {
            let ended = AssertUnwindSafe(until_killed(&board, part, task)).catch_unwind().await;
            if stop.is_cancelled() {
                return ended.inspect_err(|_| tracing::error!(task = part.name(), "a task panicked")).ok();
            }
            tracing::error!(task = part.name(), "a task {} without being told to", how(&ended));
            board.fail(part);
            None
        })
    }

    /// Runs a thread for as long as the program runs. When `run` ends it is run again on the same thread.
    ///
    /// # Errors
    /// When the system gives no thread.
    ///
    /// # Panics
    /// Outside a runtime.
    pub fn thread(
        &self,
        part: Part,
        name: String,
        mut run: impl FnMut() -> io::Result<()> + Send + 'static,
    ) -> io::Result<()> {
        let (board, stop, alive) = (self.board.clone(), self.stop.clone(), self.tasks.token());
        let (runtime, mut pauses) = (Handle::current(), Pauses::new(self.backoff));
        let thread = std::thread::Builder::new().name(name).spawn(move || {
            let _alive = alive;
            loop {
                let began = Instant::now();
                let ended = std::panic::catch_unwind(AssertUnwindSafe(&mut run));
                if let Ok(Err(error)) = &ended {
                    tracing::error!(task = part.name(), %error, "a thread failed");
                }
                if stop.is_cancelled() {
                    return;
                }
                let down = board.ended(part);
                let pause = pauses.after(began.elapsed());
                say_restart(part, how(&ended), pause);
                let stopped = async { tokio::time::timeout(pause, stop.cancelled()).await.is_ok() };
                if runtime.block_on(stopped) {
                    return;
                }
                drop(down);
            }
        });
        thread.map(drop)
    }
}

/// Runs a task; in debug builds, a test can kill it from inside.
async fn until_killed<T>(board: &Board, part: Part, task: impl Future<Output = T>) -> T {
    tokio::select! {
        never = board.killed(part) => match never {},
        ended = task => ended,
    }
}

/// The panic hook logs the panic's message and location.
fn how<T, E>(ended: &Result<T, E>) -> &'static str {
    if ended.is_ok() { "returned" } else { "panicked" }
}

fn say_restart(part: Part, how: &str, pause: Duration) {
    let seconds = pause.as_secs_f64();
    tracing::error!(task = part.name(), "a task {how} without being told to; starts again in {seconds} s");
}

/// The pauses between the restarts of one task.
struct Pauses {
    backoff: Backoff,
    next: Duration,
}

impl Pauses {
    fn new(backoff: Backoff) -> Self {
        Self { backoff, next: backoff.min }
    }

    /// The pause after a run that lasted for `ran`.
    fn after(&mut self, ran: Duration) -> Duration {
        if ran > self.backoff.max {
            self.next = self.backoff.min;
        }
        let pause = self.next.min(self.backoff.max);
        self.next = pause * 2;
        pause
    }
}
