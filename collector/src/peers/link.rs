//! Connections: each collector calls all others and answers all calls. It sends its own news over the call it
//! made; over a call it answered it sends only answers.

use std::{
    io,
    sync::{Arc, atomic::Ordering},
    time::Duration,
};

use tokio::{
    net::{TcpListener, TcpStream},
    sync::{Semaphore, mpsc},
};
use tokio_util::sync::CancellationToken;
use zeroize::{Zeroize, Zeroizing};

use crate::config::OTHERS_MAX;

use super::{
    Link, Note, Peers,
    channel::{self, FRAME_BYTES_MAX, Receiver, Sender},
    message::{self, TEXT_BYTES_MAX, Visit},
};

/// Timeout for connecting, including the handshake.
const CALL_TIMEOUT: Duration = Duration::from_secs(3);
/// Keep-alive interval.
const PING_INTERVAL: Duration = Duration::from_secs(1);
/// A connection that has been silent for this long is considered dead.
const SILENCE_MAX: Duration = Duration::from_secs(4);
const PAUSE_MIN: Duration = Duration::from_millis(50);
const PAUSE_MAX: Duration = Duration::from_secs(2);
/// Maximum concurrent incoming calls: all others, plus some that are about to end.
const CALLS_MAX: usize = 2 * OTHERS_MAX;
/// Maximum notes framed at a time.
const NOTES_MAX: usize = 1_024;
/// Maximum queued answers.
const REPLIES_MAX: usize = 1_024;
/// Upper bound on a note's encoded size.
const NOTE_BYTES_MAX: usize = 2 * TEXT_BYTES_MAX + 256;

impl Peers {
    /// Answers calls until `stop`.
    pub(super) async fn answer_calls(
        self: Arc<Self>,
        listener: io::Result<std::net::TcpListener>,
        stop: CancellationToken,
    ) {
        let listener = match listener.and_then(TcpListener::from_std) {
            Ok(listener) => listener,
            Err(error) => {
                return tracing::error!(%error, "connections from other collectors cannot be accepted");
            }
        };
        let places = Arc::new(Semaphore::new(CALLS_MAX));
        loop {
            let Ok(place) = places.clone().acquire_owned().await else { return };
            let accepted = tokio::select! {
                () = stop.cancelled() => return,
                accepted = listener.accept() => accepted,
            };
            let Ok((stream, _)) = accepted else {
                tokio::time::sleep(PAUSE_MIN).await;
                continue;
            };
            let (peers, stop) = (self.clone(), stop.clone());
            self.tasks.spawn(async move {
                tokio::select! {
                    () = stop.cancelled() => {}
                    ended = peers.answer_call(stream) => {
                        if let Err(error) = ended {
                            tracing::debug!(%error, "a call of another collector ended");
                        }
                    }
                }
                drop(place);
            });
        }
    }

    async fn answer_call(self: &Arc<Self>, stream: TcpStream) -> io::Result<()> {
        let answered = tokio::time::timeout(CALL_TIMEOUT, channel::answer(stream, &self.settings.key));
        let (mut sender, receiver) =
            answered.await.map_err(|_| io::Error::from(io::ErrorKind::TimedOut))??;
        let (replies, mut waiting) = mpsc::channel(REPLIES_MAX);
        let writing = async {
            let mut frame = Zeroizing::new(Vec::with_capacity(FRAME_BYTES_MAX));
            let mut notes = Vec::new();
            while waiting.recv_many(&mut notes, NOTES_MAX).await > 0 {
                self.send(&mut notes, &mut sender, &mut frame).await?;
            }
            Ok(())
        };
        tokio::select! {
            ended = self.listen(receiver, None, &replies) => ended,
            ended = writing => ended,
        }
    }

    /// Calls another collector, reconnecting until `stop`.
    pub(super) async fn keep_calling(self: Arc<Self>, index: usize, stop: CancellationToken) {
        let link = &self.links[index];
        let mut outbox = link.unsent.lock().await;
        // Cleans up after an earlier run of this task that panicked.
        self.hang_up(link, &mut outbox);
        let mut pause = PAUSE_MIN;
        loop {
            let called = tokio::select! {
                () = stop.cancelled() => return,
                called = self.talk(link, &mut outbox) => called,
            };
            if self.hang_up(link, &mut outbox) {
                tracing::warn!(peer = link.name, "another collector is unreachable");
                pause = PAUSE_MIN;
            }
            if let Err(error) = called {
                tracing::debug!(%error, peer = link.name, "another collector cannot be talked to");
            }
            tokio::select! {
                () = stop.cancelled() => return,
                () = tokio::time::sleep(pause) => {}
            }
            pause = (pause * 2).min(PAUSE_MAX);
        }
    }

    /// Marks a link as disconnected; returns whether it was connected. Queued notes are dropped: everything
    /// is sent again on reconnecting.
    fn hang_up(&self, link: &Link, outbox: &mut mpsc::Receiver<Note>) -> bool {
        let was_connected = link.connected.swap(false, Ordering::AcqRel);
        if was_connected {
            self.connected.send_modify(|n| *n -= 1);
        }
        while outbox.try_recv().is_ok() {}
        link.wanted().clear();
        was_connected
    }

    async fn talk(self: &Arc<Self>, link: &Link, outbox: &mut mpsc::Receiver<Note>) -> io::Result<()> {
        let called = tokio::time::timeout(CALL_TIMEOUT, channel::call(&link.address, &self.settings.key));
        let (sender, receiver) = called.await.map_err(|_| io::Error::from(io::ErrorKind::TimedOut))??;
        let (replies, mut answers) = mpsc::channel(1);
        // Nobody asks over our own call; an asker would get no answer.
        answers.close();
        tokio::select! {
            ended = self.listen(receiver, Some(link), &replies) => ended,
            ended = self.keep_telling(link, sender, outbox) => ended,
            () = link.reset.notified() => Ok(()),
        }
    }

    async fn listen(
        self: &Arc<Self>,
        mut receiver: Receiver,
        link: Option<&Link>,
        replies: &mpsc::Sender<Note>,
    ) -> io::Result<()> {
        loop {
            let received = tokio::time::timeout(SILENCE_MAX, receiver.receive());
            let frame = received.await.map_err(|_| io::Error::from(io::ErrorKind::TimedOut))??;
            let mut rest = frame.as_slice();
            while !rest.is_empty() {
                let record =
                    message::read(&mut rest).ok_or_else(|| io::Error::from(io::ErrorKind::InvalidData))?;
                self.hear(record, link, replies);
            }
        }
    }

    /// Sends the full state, then the updates.
    async fn keep_telling(
        &self,
        link: &Link,
        mut sender: Sender,
        outbox: &mut mpsc::Receiver<Note>,
    ) -> io::Result<()> {
        let mut frame = Zeroizing::new(Vec::with_capacity(FRAME_BYTES_MAX));
        // Marked connected first: updates during the full send must be sent, too.
        link.connected.store(true, Ordering::Release);
        self.connected.send_modify(|n| *n += 1);
        tracing::info!(peer = link.name, "connected to another collector");
        for (site, day) in self.local.salts.keys() {
            self.write(&Note::Salt(site, day), &mut frame);
            self.flush_if_full(&mut sender, &mut frame).await?;
        }
        for live in self.local.sessions.live(self.local.clock.now_ms()) {
            for (site, visitor, session, time_ms) in live {
                message::write_visit(&Visit { site, visitor, session, time_ms }, &mut frame);
                self.flush_if_full(&mut sender, &mut frame).await?;
            }
        }
        for (site, day, visitor) in self.local.objections.all() {
            message::write_objection(site, day, visitor, &mut frame);
            self.flush_if_full(&mut sender, &mut frame).await?;
        }
        let mut pings = tokio::time::interval(PING_INTERVAL);
        let mut notes = Vec::new();
        loop {
            tokio::select! {
                taken = outbox.recv_many(&mut notes, NOTES_MAX) => {
                    if taken == 0 {
                        return Ok(());
                    }
                }
                _ = pings.tick() => message::write_presence(false, &mut frame),
            }
            self.send(&mut notes, &mut sender, &mut frame).await?;
        }
    }

    /// Appends `notes` to `frame` and sends it.
    async fn send(
        &self,
        notes: &mut Vec<Note>,
        sender: &mut Sender,
        frame: &mut Zeroizing<Vec<u8>>,
    ) -> io::Result<()> {
        for note in notes.drain(..) {
            self.write(&note, frame);
            self.flush_if_full(sender, frame).await?;
        }
        flush(sender, frame).await
    }

    fn write(&self, note: &Note, frame: &mut Vec<u8>) {
        match note {
            Note::Told(record) => frame.extend_from_slice(record),
            Note::Salt(site, day) => {
                // It may have been destroyed since.
                if let Some(salt) = self.local.salts.get(*site, *day) {
                    message::write_salt(*site, *day, &salt, frame);
                }
            }
            Note::Want(want) => message::write_want(want, frame),
            Note::Answer(id, has) => message::write_answer(*id, *has, frame),
            Note::Pong => message::write_presence(true, frame),
        }
    }

    async fn flush_if_full(&self, sender: &mut Sender, frame: &mut Zeroizing<Vec<u8>>) -> io::Result<()> {
        // The frame never outgrows its initial allocation: reallocating would leave a copy behind.
        if frame.len() + NOTE_BYTES_MAX > FRAME_BYTES_MAX { flush(sender, frame).await } else { Ok(()) }
    }
}

async fn flush(sender: &mut Sender, frame: &mut Zeroizing<Vec<u8>>) -> io::Result<()> {
    if frame.is_empty() {
        return Ok(());
    }
    let sent = sender.send(frame).await;
    frame.zeroize();
    sent
}
