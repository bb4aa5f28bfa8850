//! Checks the log against a model of it, on a disk with fault injection.

use std::{
    collections::{BTreeMap, BTreeSet, HashMap},
    path::PathBuf,
    sync::mpsc::Receiver,
};

use futures_util::FutureExt;
use proptest::prelude::*;
use sotto_schema::id::{SiteId, ViewId};

use super::{
    Append, Key, OpenError, Settings, Spool, aside,
    batch::Batch,
    disk::Disk,
    faults::{Fault, FaultyDisk},
    open_on,
    reader::Reader,
    segment,
    writer::{Message, Writer},
};

const SEGMENT_BYTES: u64 = 1_500;
/// Minimum record length; its number comes first.
const RECORD_BYTES_MIN: usize = 4;

/// What happens.
#[derive(Debug, Clone)]
enum Action {
    /// Requests that queue at the same time, each with records of these lengths.
    Append(Vec<Vec<u16>>),
    /// A browser sends one of the records so far again.
    Again(prop::sample::Index),
    /// A batch is sealed and shipped. ClickHouse may not take it, or its answer may be lost.
    Ship { rows_max: u64, bytes_max: usize, taken: bool, answered: bool },
    /// A batch is sealed and set aside.
    SetAside,
    /// What is shipped is to be gone from the disk.
    Forget,
    /// Things go wrong, each so many calls of the disk after the one before.
    Fail(Vec<(u32, Fault)>),
    /// The disk has so much room left.
    Leave(u16),
    /// The disk is well again.
    Heal,
    /// The program is killed, or the power cut, and started again.
    Restart { power_cut: bool },
    /// The start fails in the middle as well.
    RestartBadly { power_cut: bool, faults: Vec<(u32, Fault)> },
}

fn any_fault() -> impl Strategy<Value = Fault> {
    prop_oneof![
        Just(Fault::ShortWrite),
        Just(Fault::WriteError),
        Just(Fault::SyncError),
        Just(Fault::SyncDirError),
        Just(Fault::OpenError),
        Just(Fault::NameError),
        Just(Fault::Kill),
        Just(Fault::PowerCut),
    ]
}

fn any_action(again: u32) -> impl Strategy<Value = Action> {
    let request = prop::collection::vec(prop_oneof![4 => 4u16..40, 1 => 40u16..900], 1..4);
    prop_oneof![
        8 => prop::collection::vec(request, 1..5).prop_map(Action::Append),
        again => any::<prop::sample::Index>().prop_map(Action::Again),
        4 => (1u64..30, 20usize..1_000, prop::bool::weighted(0.8), prop::bool::weighted(0.8)).prop_map(
            |(rows_max, bytes_max, taken, answered)| Action::Ship { rows_max, bytes_max, taken, answered }
        ),
        1 => Just(Action::SetAside),
        1 => Just(Action::Forget),
        4 => prop::collection::vec((0u32..8, any_fault()), 1..4).prop_map(Action::Fail),
        1 => (0u16..1_200).prop_map(Action::Leave),
        1 => Just(Action::Heal),
        2 => any::<bool>().prop_map(|power_cut| Action::Restart { power_cut }),
        2 => (any::<bool>(), prop::collection::vec((0u32..25, any_fault()), 1..3))
            .prop_map(|(power_cut, faults)| Action::RestartBadly { power_cut, faults }),
    ]
}

struct Running {
    spool: Spool,
    reader: Reader<FaultyDisk>,
    writer: Writer<FaultyDisk>,
    queue: Receiver<Message>,
}

struct World {
    disk: FaultyDisk,
    running: Option<Running>,
    /// Lengths of all records that were ever offered, by their numbers.
    offered: Vec<u16>,
    acknowledged: BTreeSet<u32>,
    /// What ClickHouse has: the rows of each token, and all records in the order it took them.
    tokens: HashMap<String, Vec<u8>>,
    stored: Vec<u32>,
    /// Records that were sent again: their order says nothing.
    repeated: BTreeSet<u32>,
    bytes_max: u64,
}

fn settings(bytes_max: u64) -> Settings {
    Settings { dir: "spool".into(), segment_bytes: SEGMENT_BYTES, bytes_max, columns: "x".into() }
}

fn key(number: u32) -> Key {
    Key { site: SiteId(1), view: ViewId(u64::from(number) + 1), seq: 0 }
}

/// The numbers of rows, each of which says how long it is.
fn numbers(mut rows: &[u8], lengths: &[u16]) -> Vec<u32> {
    let mut found = Vec::new();
    while !rows.is_empty() {
        let number = u32::from_le_bytes(rows[..RECORD_BYTES_MIN].try_into().unwrap());
        let (row, rest) = rows.split_at(usize::from(lengths[number as usize]));
        assert!(row[RECORD_BYTES_MIN..].iter().all(|b| *b == number as u8), "record {number} is damaged");
        found.push(number);
        rows = rest;
    }
    found
}

impl World {
    fn new(seed: u64, bytes_max: u64) -> Self {
        Self {
            disk: FaultyDisk::new(seed),
            running: None,
            offered: Vec::new(),
            acknowledged: BTreeSet::new(),
            tokens: HashMap::new(),
            stored: Vec::new(),
            repeated: BTreeSet::new(),
            bytes_max,
        }
    }

    /// Starts, as the program does, with the keys that ClickHouse and the spool tell.
    fn start(&mut self) {
        match open_on(self.disk.clone(), settings(self.bytes_max)) {
            Ok((spool, reader, writer, queue)) => {
                let mut known = self.stored.clone();
                let aside =
                    reader.for_each_set_aside(|batch| known.extend(numbers(&batch.rows, &self.offered)));
                let read = reader.for_each_waiting(|row| known.extend(numbers(row, &self.offered)));
                if aside.is_ok() && read.is_ok() {
                    spool.remember(known.into_iter().map(key).collect());
                    self.running = Some(Running { spool, reader, writer, queue });
                }
            }
            Err(OpenError::Io { .. }) => {}
            Err(error) => panic!("nothing was damaged from outside: {error}"),
        }
    }

    fn restart(&mut self, power_cut: bool) {
        self.running = None;
        self.disk = self.disk.next_life(power_cut);
    }

    fn act(&mut self, action: Action) {
        if self.disk.is_dead() {
            self.restart(false);
        }
        if self.running.is_none() {
            self.start();
        }
        match action {
            Action::Append(requests) => self.append(requests),
            Action::Again(index) if !self.offered.is_empty() => {
                let number = index.index(self.offered.len()) as u32;
                self.repeated.insert(number);
                self.offer(vec![vec![number]]);
            }
            Action::Again(_) => {}
            Action::Ship { rows_max, bytes_max, taken, answered } => {
                self.ship(rows_max, bytes_max, taken, answered);
            }
            Action::SetAside => {
                let Some(running) = &mut self.running else { return };
                if let Ok(Some(batch)) = running.reader.seal(3, 300)
                    // What ClickHouse took and did not answer is not what it refuses.
                    && !self.tokens.contains_key(&batch.token)
                {
                    let _failed = running.reader.set_aside(&batch, "no");
                }
            }
            Action::Forget => {
                let Some(running) = &mut self.running else { return };
                let _asked = running.spool.forget_shipped().now_or_never();
                self.turn();
            }
            Action::Fail(faults) => self.disk.fail(faults),
            Action::Leave(bytes) => self.disk.leave(usize::from(bytes)),
            Action::Heal => self.disk.heal(),
            Action::Restart { power_cut } => self.restart(power_cut),
            Action::RestartBadly { power_cut, faults } => {
                self.restart(power_cut);
                self.disk.fail(faults);
                self.start();
            }
        }
    }

    fn append(&mut self, requests: Vec<Vec<u16>>) {
        let requests = requests
            .into_iter()
            .map(|lengths| {
                let first = self.offered.len() as u32;
                self.offered.extend(&lengths);
                (first..first + lengths.len() as u32).collect()
            })
            .collect();
        self.offer(requests);
    }

    /// Queues requests, lets the writer take its turns, and notes what was acknowledged.
    fn offer(&mut self, requests: Vec<Vec<u32>>) {
        let Some(running) = &mut self.running else { return };
        let mut answers = Vec::new();
        for numbers in requests {
            let mut append = Append::default();
            for number in &numbers {
                let len = usize::from(self.offered[*number as usize]);
                let ticket = append.record(Some(key(*number)), |out| {
                    out.extend_from_slice(&number.to_le_bytes());
                    out.resize(out.len() + len - RECORD_BYTES_MIN, *number as u8);
                });
                assert!(ticket.is_some());
            }
            if let Ok(answer) = running.spool.offer(append) {
                answers.push((numbers, answer));
            }
        }
        self.turn();
        for (numbers, mut answer) in answers {
            if let Ok(repeats) = answer.try_recv().unwrap() {
                for repeat in repeats.0 {
                    assert!(self.repeated.contains(&numbers[repeat.0]), "taken for a repeat");
                }
                self.acknowledged.extend(numbers);
            }
        }
    }

    /// The writer does what it was told.
    fn turn(&mut self) {
        let Some(running) = &mut self.running else { return };
        while let Ok(message) = running.queue.try_recv() {
            running.writer.turn(message, &running.queue, &mut Vec::new());
        }
    }

    fn ship(&mut self, rows_max: u64, bytes_max: usize, taken: bool, answered: bool) {
        let Some(running) = &mut self.running else { return };
        let Ok(Some(batch)) = running.reader.seal(rows_max, bytes_max) else { return };
        if taken && answered {
            let _failed = running.reader.shipped(&batch);
        }
        if taken {
            self.take(&batch);
        }
    }

    /// What ClickHouse does with a batch.
    fn take(&mut self, batch: &Batch) {
        match self.tokens.get(&batch.token) {
            Some(rows) => assert_eq!(*rows, batch.rows, "another batch under the same token"),
            None => {
                self.stored.extend(numbers(&batch.rows, &self.offered));
                self.tokens.insert(batch.token.clone(), batch.rows.to_vec());
            }
        }
    }

    /// An operator replays the batches that were set aside.
    fn replay(&mut self) {
        for file in aside::list(&self.disk, &PathBuf::from("spool")).unwrap() {
            let (batch, _) = aside::read(&self.disk, &file).unwrap();
            self.repeated.extend(numbers(&batch.rows, &self.offered));
            self.take(&batch);
            self.disk.remove(&file.path).unwrap();
        }
        self.running.as_ref().unwrap().reader.look_aside();
    }

    fn drain(&mut self) {
        while self.running.as_ref().unwrap().reader.waiting() > 0 {
            let before = self.running.as_ref().unwrap().reader.waiting();
            self.ship(7, 500, true, true);
            assert!(self.running.as_ref().unwrap().reader.waiting() < before, "nothing can be shipped");
        }
    }

    /// With no faults left, ships everything that waits and compares it with the model.
    fn settle(&mut self) {
        self.disk.heal();
        if self.disk.is_dead() || self.running.is_none() {
            self.restart(false);
            self.start();
        }
        assert!(self.running.is_some(), "a start fails when all is well");
        self.drain();
        self.replay();
        let newest = self.offered.len() as u32;
        self.append(vec![vec![10]]);
        assert!(self.acknowledged.contains(&newest), "hits are not taken when all is well");
        self.drain();
        let mut times: BTreeMap<u32, u32> = BTreeMap::new();
        for number in &self.stored {
            *times.entry(*number).or_default() += 1;
        }
        let lost: Vec<_> = self.acknowledged.iter().filter(|n| !times.contains_key(n)).collect();
        assert!(lost.is_empty(), "acknowledged and lost: {lost:?}");
        let twice: Vec<_> = times.iter().filter(|(_, times)| **times > 1).collect();
        assert!(twice.is_empty(), "stored more than once: {twice:?}");
        let first_attempts = self.stored.iter().filter(|n| !self.repeated.contains(n));
        assert!(first_attempts.is_sorted(), "out of order: {:?}", self.stored);
        let files = segment::list(&self.disk, &PathBuf::from("spool")).unwrap();
        assert!(files.len() <= 1, "shipped segments are removed: {files:?}");
    }
}

proptest! {
    // PROPTEST_CASES=20000 runs for about an hour.
    #![proptest_config(ProptestConfig { cases: 6 * ProptestConfig::default().cases, ..ProptestConfig::default() })]

    #[test]
    fn nothing_acknowledged_is_lost_doubled_or_out_of_order_whatever_fails(
        seed: u64, actions in prop::collection::vec(any_action(0), 1..40)
    ) {
        let mut world = World::new(seed, u64::MAX);
        actions.into_iter().for_each(|action| world.act(action));
        world.settle();
    }

    #[test]
    fn hit_that_comes_again_is_kept_once_and_kept_if_its_first_attempt_failed(
        seed: u64, actions in prop::collection::vec(any_action(6), 1..40)
    ) {
        let mut world = World::new(seed, u64::MAX);
        actions.into_iter().for_each(|action| world.act(action));
        world.settle();
    }

    #[test]
    fn spool_at_its_limit_takes_hits_again_when_room_was_made(
        seed: u64, actions in prop::collection::vec(any_action(1), 1..40)
    ) {
        let mut world = World::new(seed, 4_000);
        actions.into_iter().for_each(|action| world.act(action));
        world.settle();
    }
}
