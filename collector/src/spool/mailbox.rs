//! Delivers answers from the writing thread to the waiting tasks.
//!
//! Waking a task on another thread's runtime costs a system call, and one commit answers a hundred hits. So
//! the writing thread wakes one task per worker and commit, which distributes the answers within its own
//! thread.

use std::{
    cell::RefCell,
    sync::{Arc, Mutex, PoisonError},
};

use tokio::{
    runtime::{Handle, Id, RuntimeFlavor},
    sync::{Notify, oneshot},
};

use super::{AppendError, Repeats};

/// What became of records that were appended together.
pub(super) type Outcome = Result<Repeats, AppendError>;

/// Where one answer goes.
pub(super) struct Recipient {
    done: oneshot::Sender<Outcome>,
    mailbox: Option<Arc<Mailbox>>,
}

/// An answer, and the task that waits for it.
type Letter = (oneshot::Sender<Outcome>, Outcome);

/// Answers for the tasks of a single-threaded runtime.
#[derive(Default)]
struct Mailbox {
    answers: Mutex<Vec<Letter>>,
    arrived: Notify,
}

impl Recipient {
    /// For the calling task.
    pub(super) fn here() -> (Self, oneshot::Receiver<Outcome>) {
        let (done, answer) = oneshot::channel();
        (Self { done, mailbox: Mailbox::of_this_thread() }, answer)
    }
}

/// Gives all answers of one commit.
pub(super) fn deliver(answers: impl Iterator<Item = (Recipient, Outcome)>) {
    let mut post: Vec<(Arc<Mailbox>, Vec<Letter>)> = Vec::new();
    for (Recipient { done, mailbox }, outcome) in answers {
        let Some(mailbox) = mailbox else {
            // A client that went away does not wait any more; its hit is kept all the same.
            let _gone = done.send(outcome);
            continue;
        };
        match post.iter_mut().find(|(known, _)| Arc::ptr_eq(known, &mailbox)) {
            Some((_, letters)) => letters.push((done, outcome)),
            None => post.push((mailbox, vec![(done, outcome)])),
        }
    }
    for (mailbox, mut letters) in post {
        mailbox.answers().append(&mut letters);
        mailbox.arrived.notify_one();
    }
}

impl Mailbox {
    /// The mailbox of the calling task's runtime; none outside a runtime or in a multi-threaded one.
    fn of_this_thread() -> Option<Arc<Self>> {
        thread_local! {
            static MAILBOX: RefCell<Option<(Id, Arc<Mailbox>)>> = const { RefCell::new(None) };
        }
        let runtime = Handle::try_current().ok()?;
        if runtime.runtime_flavor() != RuntimeFlavor::CurrentThread {
            return None;
        }
        MAILBOX.with_borrow_mut(|kept| {
            match kept {
                Some((id, mailbox)) if *id == runtime.id() => Some(mailbox.clone()),
                // The first append of this runtime. The mailbox of an earlier runtime on this thread ended
                // with it.
                Some(_) | None => {
                    let mailbox = Arc::new(Self::default());
                    runtime.spawn(mailbox.clone().hand_on());
                    *kept = Some((runtime.id(), mailbox.clone()));
                    Some(mailbox)
                }
            }
        })
    }

    /// Hands answers on for as long as the runtime lives.
    async fn hand_on(self: Arc<Self>) {
        loop {
            self.arrived.notified().await;
            let answers = std::mem::take(&mut *self.answers());
            for (done, outcome) in answers {
                // As in `deliver`.
                let _gone = done.send(outcome);
            }
        }
    }

    fn answers(&self) -> std::sync::MutexGuard<'_, Vec<Letter>> {
        self.answers.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn current_thread() -> tokio::runtime::Runtime {
        tokio::runtime::Builder::new_current_thread().build().unwrap()
    }

    #[test]
    fn answers_reach_tasks_of_every_kind_of_runtime_also_of_a_second_one_in_the_same_thread() {
        let threads = || tokio::runtime::Builder::new_multi_thread().worker_threads(2).build().unwrap();
        for runtime in [current_thread(), current_thread(), threads()] {
            runtime.block_on(async {
                let (recipients, answers): (Vec<_>, Vec<_>) = (0..100).map(|_| Recipient::here()).unzip();
                let posted = std::thread::spawn(move || {
                    deliver(recipients.into_iter().map(|recipient| (recipient, Ok(Repeats::NONE))));
                });
                for answer in answers {
                    assert_eq!(answer.await, Ok(Ok(Repeats::NONE)));
                }
                posted.join().unwrap();
            });
        }
    }

    #[test]
    fn answer_for_a_task_that_is_gone_does_not_hold_up_the_others() {
        current_thread().block_on(async {
            let (gone, _) = Recipient::here();
            let (here, answer) = Recipient::here();
            let failed = Err(AppendError::Failed);
            deliver([(gone, failed.clone()), (here, failed.clone())].into_iter());
            assert_eq!(answer.await, Ok(failed));
        });
    }
}
