//! The log on a real disk, and what no model of faults shows: damage from outside, limits, other columns.

use std::{fs, path::Path};

use sotto_schema::id::{SiteId, ViewId};

use super::{faults::Fault, faults::FaultyDisk, writer::Message, *};

fn settings(dir: &Path) -> Settings {
    Settings { dir: dir.into(), segment_bytes: 2_000, bytes_max: 1 << 20, columns: "x".into() }
}

async fn append(spool: &Spool, records: impl IntoIterator<Item = u32>) -> Result<Repeats, AppendError> {
    let mut append = Append::default();
    for record in records {
        assert!(append.record(None, |out| out.extend_from_slice(format!("[{record}]").as_bytes())).is_some());
    }
    spool.append(append).await
}

fn text(batch: &Batch) -> String {
    String::from_utf8(batch.rows.to_vec()).unwrap()
}

fn expected(range: std::ops::Range<u32>) -> String {
    range.map(|n| format!("[{n}]")).collect()
}

fn drain(reader: &mut Reader) -> String {
    let mut all = String::new();
    while let Some(batch) = reader.seal(1_000, 10_000).unwrap() {
        all += &text(&batch);
        reader.shipped(&batch).unwrap();
    }
    all
}

fn segments(dir: &Path) -> Vec<u64> {
    segment::list(&OsDisk, dir).unwrap()
}

#[tokio::test]
async fn records_come_out_once_and_in_order_across_segments_and_restarts() {
    let dir = tempfile::tempdir().unwrap();
    let (mut all, mut written) = (String::new(), 0);
    for round in 0..20u32 {
        let (spool, mut reader) = open(settings(dir.path())).unwrap();
        for _ in 0..20 {
            append(&spool, written..written + 7).await.unwrap();
            written += 7;
        }
        for _ in 0..=round % 5 {
            if let Some(batch) = reader.seal(50, 100).unwrap() {
                all += &text(&batch);
                reader.shipped(&batch).unwrap();
            }
        }
    }
    let (spool, mut reader) = open(settings(dir.path())).unwrap();
    all += &drain(&mut reader);
    assert_eq!(all, expected(0..written));
    assert!(segments(dir.path()).len() <= 1, "shipped segments are removed");
    assert_eq!((spool.waiting(), spool.oldest()), (0, None));
}

#[tokio::test]
async fn sealed_batch_is_the_same_after_a_restart_although_more_was_appended() {
    let dir = tempfile::tempdir().unwrap();
    let (spool, mut reader) = open(settings(dir.path())).unwrap();
    append(&spool, 0..10).await.unwrap();
    let first = reader.seal(100, 1_000).unwrap().unwrap();
    append(&spool, 10..20).await.unwrap();
    assert_eq!(reader.seal(100, 1_000).unwrap().unwrap(), first);
    drop((spool, reader));
    let (_spool, mut reader) = open(settings(dir.path())).unwrap();
    assert_eq!(reader.seal(1, 1).unwrap().unwrap(), first);
    reader.shipped(&first).unwrap();
    let second = reader.seal(100, 1_000).unwrap().unwrap();
    assert_eq!(text(&second), expected(10..20));
    assert_ne!(second.token, first.token);
}

#[tokio::test]
async fn spool_at_its_limit_refuses_and_recovers_when_shipped() {
    let dir = tempfile::tempdir().unwrap();
    let limited = Settings { bytes_max: 6_000, ..settings(dir.path()) };
    let (spool, mut reader) = open(limited).unwrap();
    let mut accepted = 0;
    while append(&spool, accepted..accepted + 10).await.is_ok() {
        accepted += 10;
    }
    assert_eq!(append(&spool, 0..10).await, Err(AppendError::Full));
    assert!(spool.disk_bytes() <= 6_000 && spool.is_failing());
    assert_eq!(drain(&mut reader), expected(0..accepted));
    append(&spool, 0..10).await.unwrap();
    assert!(!spool.is_failing());
}

#[tokio::test]
async fn record_at_the_limit_is_kept_and_one_byte_more_is_not() {
    let mut append = Append::default();
    assert!(append.record(None, |out| out.resize(RECORD_BYTES_MAX, 1)).is_some());
    assert_eq!(append.record(None, |out| out.resize(out.len() + RECORD_BYTES_MAX + 1, 1)), None);
    assert_eq!(append.record(None, |_| ()), None);
    let dir = tempfile::tempdir().unwrap();
    let (spool, mut reader) = open(settings(dir.path())).unwrap();
    spool.append(append).await.unwrap();
    let batch = reader.seal(10, 10).unwrap().unwrap();
    assert_eq!((batch.count, batch.rows.len()), (1, RECORD_BYTES_MAX));
}

#[tokio::test]
async fn waiting_records_can_be_read_without_shipping_them() {
    let dir = tempfile::tempdir().unwrap();
    let (spool, mut reader) = open(settings(dir.path())).unwrap();
    append(&spool, 0..300).await.unwrap();
    let batch = reader.seal(100, 10_000).unwrap().unwrap();
    reader.shipped(&batch).unwrap();
    let mut seen = String::new();
    reader.for_each_waiting(|payload| seen += std::str::from_utf8(payload).unwrap()).unwrap();
    assert_eq!(seen, expected(batch.count as u32..300));
    assert_eq!((reader.waiting(), spool.waiting()), (300 - batch.count, 300 - batch.count));
}

#[tokio::test]
async fn segment_with_torn_tail_loses_only_the_torn_record() {
    let dir = tempfile::tempdir().unwrap();
    let (spool, reader) = open(settings(dir.path())).unwrap();
    append(&spool, 0..5).await.unwrap();
    drop((spool, reader));
    let path = segment::path(dir.path(), 1);
    let whole = fs::read(&path).unwrap();
    const HEADER: usize = 32 + "x".len() + 4;
    for cut in 0..=whole.len() {
        for garbage in [&[][..], &[0xa5; 37], &[0; 64]] {
            fs::write(&path, [&whole[..cut], garbage].concat()).unwrap();
            let (_spool, reader) = open(settings(dir.path())).unwrap();
            let mut seen = String::new();
            reader.for_each_waiting(|payload| seen += std::str::from_utf8(payload).unwrap()).unwrap();
            assert_eq!(seen, expected(0..reader.waiting() as u32), "cut at {cut}");
            // Garbage may happen to be the last byte of the header's sum, and of nothing else.
            assert!(fs::metadata(&path).map_or(0, |m| m.len()) <= cut.max(HEADER) as u64, "cut at {cut}");
            assert!(cut < whole.len() || reader.waiting() == 5, "cut at {cut}");
        }
    }
}

/// A spool of three segments, nothing of it shipped.
async fn three_segments(dir: &Path) -> Vec<u64> {
    let (spool, _reader) = open(settings(dir)).unwrap();
    let mut written = 0;
    while segments(dir).len() < 3 {
        append(&spool, written..written + 20).await.unwrap();
        written += 20;
    }
    segments(dir)
}

/// Records that are appended alone, so that no commit ends in the middle of them.
async fn fill(dir: &Path, records: u32) {
    let (spool, _reader) = open(settings(dir)).unwrap();
    append(&spool, 0..records).await.unwrap();
}

/// What a spool of whole records has left, and how many it says are damaged.
fn left(dir: &Path) -> (Vec<u32>, Damage) {
    let (spool, mut reader) = open(settings(dir)).unwrap();
    let mut waiting = String::new();
    reader.for_each_waiting(|payload| waiting += std::str::from_utf8(payload).unwrap()).unwrap();
    let shipped = drain(&mut reader);
    assert_eq!(waiting, shipped, "what is remembered after a start is what is shipped");
    assert_eq!(spool.waiting(), 0);
    let numbers = shipped.split(['[', ']']).filter(|n| !n.is_empty()).map(|n| n.parse().unwrap());
    (numbers.collect(), spool.damage())
}

/// Writes the files of a spool anew, with one of them changed.
fn write_spool(dir: &Path, files: &[(std::path::PathBuf, Vec<u8>)], changed: usize, bytes: &[u8]) {
    fs::remove_dir_all(dir).unwrap();
    fs::create_dir(dir).unwrap();
    for (n, (path, whole)) in files.iter().enumerate() {
        fs::write(path, if n == changed { bytes } else { whole }).unwrap();
    }
}

fn read_spool(dir: &Path) -> Vec<(std::path::PathBuf, Vec<u8>)> {
    let paths = segments(dir).into_iter().map(|first| segment::path(dir, first)).chain([dir.join("cursor")]);
    paths.map(|path| (path.clone(), fs::read(path).unwrap())).collect()
}

/// The record, counted from 0 in its segment, in which a byte lies; `None` for the header.
fn record_at(bytes: &[u8], at: usize) -> Option<u32> {
    let (mut place, mut n) = (segment::header_len(bytes), 0);
    if at < place {
        return None;
    }
    while place < bytes.len() {
        place += 8 + frame::u32_at(bytes, place).unwrap() as usize;
        if at < place {
            return Some(n);
        }
        n += 1;
    }
    Some(n)
}

/// Where a record's frame begins.
fn place_of(bytes: &[u8], record: u32) -> usize {
    (0..bytes.len()).find(|at| record_at(bytes, *at) == Some(record)).unwrap()
}

#[tokio::test]
async fn last_records_are_damaged_if_they_have_their_length_and_torn_off_if_not() {
    let dir = tempfile::tempdir().unwrap();
    fill(dir.path(), 12).await;
    let files = read_spool(dir.path());
    let whole = &files[0].1;
    let (tenth, last) = (place_of(whole, 10), place_of(whole, 11));
    let flipped = |places: &[usize]| {
        let mut bytes = whole.clone();
        places.iter().for_each(|at| bytes[at + 8] ^= 1);
        bytes
    };
    let unwritten = |from: usize| {
        let mut bytes = whole.clone();
        bytes[from..].fill(0);
        bytes
    };
    for (what, bytes, left_over, told) in [
        ("the last one changed", flipped(&[last]), 11, 1),
        ("the last two changed", flipped(&[tenth, last]), 10, 2),
        ("its last byte missing", whole[..whole.len() - 1].to_vec(), 11, 0),
        ("changed, and its last byte missing", flipped(&[last])[..whole.len() - 1].to_vec(), 11, 0),
        ("one changed, the next torn off", flipped(&[tenth])[..whole.len() - 1].to_vec(), 10, 1),
        ("never written", unwritten(last), 11, 0),
    ] {
        write_spool(dir.path(), &files, 0, &bytes);
        let expected: Vec<u32> = (0..left_over).collect();
        let places = u64::from(told > 0);
        assert_eq!(left(dir.path()), (expected, Damage { places, records: told }), "{what}");
        assert_eq!(left(dir.path()).1, Damage::default(), "{what}: it is told once");
    }
}

#[tokio::test]
async fn any_damaged_byte_loses_its_own_record_only() {
    let dir = tempfile::tempdir().unwrap();
    fill(dir.path(), 12).await;
    let files = read_spool(dir.path());
    let whole = &files[0].1;
    for at in 0..whole.len() {
        for bits in [1, 0x80, 0xff] {
            let mut bytes = whole.clone();
            bytes[at] ^= bits;
            write_spool(dir.path(), &files, 0, &bytes);
            let hit = record_at(whole, at);
            let expected: Vec<u32> = (0..12).filter(|n| Some(*n) != hit).collect();
            // Of the last record, a changed length may say more than there is, as if its end were torn off.
            let last = place_of(whole, 11);
            let len = frame::u32_at(&bytes, last).unwrap() as usize;
            let is_torn = at >= last && !(1..=whole.len() - last - 8).contains(&len);
            let told = u64::from(hit.is_some() && !is_torn);
            assert_eq!(
                left(dir.path()),
                (expected, Damage { places: told, records: told }),
                "byte {at}, bits {bits:#x}"
            );
        }
    }
}

#[tokio::test]
async fn any_cut_of_the_last_segment_loses_what_is_behind_it_only() {
    let dir = tempfile::tempdir().unwrap();
    fill(dir.path(), 12).await;
    let files = read_spool(dir.path());
    let whole = &files[0].1;
    for at in 0..=whole.len() {
        write_spool(dir.path(), &files, 0, &whole[..at]);
        let expected: Vec<u32> = (0..record_at(whole, at).unwrap_or(0)).collect();
        assert_eq!(left(dir.path()), (expected, Damage::default()), "cut to {at} bytes");
    }
}

#[tokio::test]
async fn damage_before_the_last_segment_loses_its_own_record_only() {
    let dir = tempfile::tempdir().unwrap();
    let firsts = three_segments(dir.path()).await;
    let files = read_spool(dir.path());
    let (all, _) = left(dir.path());
    let whole = &files[1].1;
    // Sequence numbers count from 1, the records here from 0.
    let (first, follows) = (firsts[1] as u32 - 1, firsts[2] as u32 - 1);
    for at in (0..whole.len()).step_by(7) {
        let mut bytes = whole.clone();
        bytes[at] ^= 0xff;
        write_spool(dir.path(), &files, 1, &bytes);
        let hit = record_at(whole, at).map(|n| first + n);
        let expected = all.iter().copied().filter(|n| Some(*n) != hit).collect();
        let told = u64::from(hit.is_some());
        assert_eq!(left(dir.path()), (expected, Damage { places: told, records: told }), "byte {at}");
        write_spool(dir.path(), &files, 1, &whole[..at]);
        let kept = first + record_at(whole, at).unwrap_or(0);
        let expected: Vec<u32> = all.iter().copied().filter(|n| !(kept..follows).contains(n)).collect();
        let records = u64::from(follows - kept);
        assert_eq!(left(dir.path()), (expected, Damage { places: 1, records }), "cut to {at} bytes");
    }
}

#[tokio::test]
async fn damaged_sector_with_many_records_is_passed_and_they_are_counted() {
    let dir = tempfile::tempdir().unwrap();
    fill(dir.path(), 300).await;
    let files = read_spool(dir.path());
    let whole = &files[0].1;
    for junk in [0, 0xa5, 0xff] {
        let mut bytes = whole.clone();
        bytes[512..1024].fill(junk);
        write_spool(dir.path(), &files, 0, &bytes);
        let hit = record_at(whole, 512).unwrap()..record_at(whole, 1023).unwrap() + 1;
        let expected = (0..300).filter(|n| !hit.contains(n)).collect();
        let damage = Damage { places: 1, records: hit.len() as u64 };
        assert_eq!(left(dir.path()), (expected, damage), "filled with {junk:#x}");
    }
}

#[tokio::test]
async fn segment_whose_header_cannot_be_read_is_left_to_the_operator_and_the_others_are_read() {
    let dir = tempfile::tempdir().unwrap();
    let firsts = three_segments(dir.path()).await;
    let files = read_spool(dir.path());
    let (all, _) = left(dir.path());
    for gone in 0..3 {
        let mut bytes = files[gone].1.clone();
        bytes[16..20].fill(0xff);
        write_spool(dir.path(), &files, gone, &bytes);
        let end = firsts.get(gone + 1).copied().unwrap_or(u64::MAX);
        let expected: Vec<u32> =
            all.iter().copied().filter(|n| !(firsts[gone]..end).contains(&(u64::from(*n) + 1))).collect();
        // How many were in the last one, nothing tells.
        let records = if gone == 2 { 0 } else { end - firsts[gone] };
        assert_eq!(left(dir.path()), (expected, Damage { places: 1, records }), "segment {gone}");
        assert_eq!(fs::read(segment::unreadable(dir.path(), firsts[gone])).unwrap(), bytes);
        let listed = inspect(dir.path()).unwrap();
        assert!(listed.iter().any(|line| line.damaged == 1 && line.state == UNREADABLE), "{listed:?}");
    }
}

#[tokio::test]
async fn damage_is_counted_once_however_often_and_in_what_parts_it_is_read() {
    let dir = tempfile::tempdir().unwrap();
    fill(dir.path(), 40).await;
    let path = segment::path(dir.path(), 1);
    let mut bytes = fs::read(&path).unwrap();
    let from = bytes.len() / 2;
    bytes[from..from + 100].fill(0xff);
    fs::write(&path, &bytes).unwrap();
    let inspected = inspect(dir.path()).unwrap();
    let (spool, mut reader) = open(settings(dir.path())).unwrap();
    let damage = spool.damage();
    assert!(damage.places == 1 && damage.records > 3, "{damage:?}");
    assert_eq!((inspected[0].damaged, inspected[0].waiting), (damage.records, 40 - damage.records));
    let mut rows = 0;
    while let Some(batch) = reader.seal(3, 10_000).unwrap() {
        assert_eq!(reader.seal(3, 10_000).unwrap().unwrap(), batch, "the batch is the same again");
        reader.for_each_waiting(|_| ()).unwrap();
        assert_eq!(batch.count as usize, text(&batch).matches('[').count());
        rows += batch.count;
        reader.shipped(&batch).unwrap();
    }
    assert_eq!((rows + damage.records, spool.damage()), (40, damage));
}

#[tokio::test]
async fn damage_in_what_is_being_written_is_passed_and_later_records_are_read() {
    let dir = tempfile::tempdir().unwrap();
    let (spool, mut reader) = open(settings(dir.path())).unwrap();
    append(&spool, 0..5).await.unwrap();
    let path = segment::path(dir.path(), 1);
    let mut bytes = fs::read(&path).unwrap();
    let last = bytes.len() - 1;
    bytes[last] ^= 1;
    fs::write(&path, &bytes).unwrap();
    let batch = reader.seal(100, 1_000).unwrap().unwrap();
    assert_eq!((text(&batch), batch.count), (expected(0..4), 4));
    reader.shipped(&batch).unwrap();
    assert_eq!(spool.damage(), Damage { places: 1, records: 1 });
    append(&spool, 5..8).await.unwrap();
    assert_eq!(drain(&mut reader), expected(5..8));
    assert_eq!(spool.damage(), Damage { places: 1, records: 1 });
}

#[tokio::test]
async fn damaged_end_of_a_sealed_batch_is_no_torn_tail() {
    let dir = tempfile::tempdir().unwrap();
    let (spool, mut reader) = open(settings(dir.path())).unwrap();
    append(&spool, 0..5).await.unwrap();
    let sealed = reader.seal(5, 1_000).unwrap().unwrap();
    drop((spool, reader));
    let path = segment::path(dir.path(), 1);
    let bytes = fs::read(&path).unwrap();
    fs::write(&path, &bytes[..bytes.len() - 1]).unwrap();
    let (spool, mut reader) = open(settings(dir.path())).unwrap();
    assert_eq!(spool.damage(), Damage { places: 1, records: 1 });
    append(&spool, 5..7).await.unwrap();
    let batch = reader.seal(5, 1_000).unwrap().unwrap();
    assert_eq!((text(&batch), &batch.token), (expected(0..4), &sealed.token));
    reader.shipped(&batch).unwrap();
    assert_eq!(drain(&mut reader), expected(5..7));
}

#[tokio::test]
async fn missing_first_segment_stops_the_start_and_a_later_one_is_damage() {
    let dir = tempfile::tempdir().unwrap();
    let firsts = three_segments(dir.path()).await;
    let files = read_spool(dir.path());
    fs::remove_file(&files[0].0).unwrap();
    assert!(matches!(open(settings(dir.path())), Err(OpenError::Gap { .. })));
    fs::write(&files[0].0, &files[0].1).unwrap();
    fs::remove_file(&files[1].0).unwrap();
    let (numbers, damage) = left(dir.path());
    let gone = firsts[1] as u32 - 1..firsts[2] as u32 - 1;
    assert_eq!(damage, Damage { places: 1, records: u64::from(gone.end - gone.start) });
    assert!(numbers.iter().all(|n| !gone.contains(n)) && numbers.contains(&gone.end));
}

#[tokio::test]
async fn sealed_batch_without_its_records_stops_the_start() {
    let dir = tempfile::tempdir().unwrap();
    let (spool, mut reader) = open(settings(dir.path())).unwrap();
    append(&spool, 0..5).await.unwrap();
    reader.seal(5, 1_000).unwrap().unwrap();
    drop((spool, reader));
    fs::remove_file(segment::path(dir.path(), 1)).unwrap();
    assert!(matches!(open(settings(dir.path())), Err(OpenError::Lost { from: 1, to: 6 })));
}

#[tokio::test]
async fn numbers_of_shipped_records_that_are_gone_are_not_used_again() {
    let dir = tempfile::tempdir().unwrap();
    let (spool, mut reader) = open(settings(dir.path())).unwrap();
    append(&spool, 0..5).await.unwrap();
    drain(&mut reader);
    drop((spool, reader));
    fs::remove_file(segment::path(dir.path(), 1)).unwrap();
    let (spool, mut reader) = open(settings(dir.path())).unwrap();
    append(&spool, 5..7).await.unwrap();
    let batch = reader.seal(10, 1_000).unwrap().unwrap();
    assert!(batch.token.ends_with("-6-8"), "{}", batch.token);
    assert_eq!(text(&batch), expected(5..7));
}

#[tokio::test]
async fn other_columns_begin_another_segment_and_another_batch() {
    let dir = tempfile::tempdir().unwrap();
    let (spool, reader) = open(settings(dir.path())).unwrap();
    append(&spool, 0..3).await.unwrap();
    drop((spool, reader));
    let newer = Settings { columns: "x, y".into(), ..settings(dir.path()) };
    let (spool, mut reader) = open(newer).unwrap();
    append(&spool, 3..5).await.unwrap();
    assert_eq!(segments(dir.path()), [1, 4]);
    for (columns, rows) in [("x", 0..3), ("x, y", 3..5)] {
        let batch = reader.seal(10, 1_000).unwrap().unwrap();
        assert_eq!((batch.columns.as_str(), text(&batch)), (columns, expected(rows)));
        reader.shipped(&batch).unwrap();
    }
}

#[tokio::test]
async fn batch_set_aside_keeps_rows_and_reason_and_the_next_one_follows() {
    let dir = tempfile::tempdir().unwrap();
    let (spool, mut reader) = open(settings(dir.path())).unwrap();
    append(&spool, 0..5).await.unwrap();
    let batch = reader.seal(3, 1_000).unwrap().unwrap();
    reader.set_aside(&batch, "a reason").unwrap();
    assert_eq!((spool.set_aside().batches, spool.set_aside().records), (1, 3));
    assert_eq!(drain(&mut reader), expected(3..5));
    drop((spool, reader));
    let (spool, reader) = open(settings(dir.path())).unwrap();
    let files = set_aside(dir.path()).unwrap();
    assert_eq!(read_aside(&files[0]).unwrap(), batch);
    assert_eq!(spool.set_aside().bytes, files[0].bytes);
    let listed = inspect(dir.path()).unwrap();
    let line = listed.last().unwrap();
    assert_eq!((line.records, line.waiting, line.state.as_str()), (3, 3, "set aside: a reason"));
    fs::remove_file(&files[0].path).unwrap();
    reader.look_aside();
    assert_eq!(spool.set_aside(), Aside::default());
}

/// A spool on a disk that fails on demand, with its writer in hand.
fn faulty(disk: &FaultyDisk) -> Parts<FaultyDisk> {
    open_on(disk.clone(), settings(Path::new("spool"))).unwrap()
}

fn commit(parts: &mut Parts<FaultyDisk>, records: std::ops::Range<u32>) -> Result<Repeats, AppendError> {
    let (spool, _, writer, queue) = parts;
    let mut append = Append::default();
    for record in records {
        let key = Key { site: SiteId(1), view: ViewId(1), seq: record };
        assert!(
            append.record(Some(key), |out| out.extend_from_slice(format!("[{record}]").as_bytes())).is_some()
        );
    }
    let mut answer = spool.offer(append)?;
    let message: Message = queue.try_recv().unwrap();
    writer.turn(message, queue, &mut Vec::new());
    answer.try_recv().unwrap()
}

#[test]
fn failed_sync_is_not_taken_for_success_and_its_segment_is_given_up() {
    let disk = FaultyDisk::new(1);
    let mut parts = faulty(&disk);
    assert_eq!(commit(&mut parts, 0..3), Ok(Repeats::NONE));
    disk.fail([(0, Fault::SyncError)]);
    assert_eq!(commit(&mut parts, 3..6), Err(AppendError::Failed));
    assert!(parts.0.is_failing());
    assert_eq!(commit(&mut parts, 3..6), Ok(Repeats::NONE), "the browser's next attempt");
    assert!(!parts.0.is_failing());
    assert_eq!(segment::list(&disk, Path::new("spool")).unwrap(), [1, 4]);
    let mut seen = String::new();
    parts.1.for_each_waiting(|payload| seen += std::str::from_utf8(payload).unwrap()).unwrap();
    assert_eq!(seen, expected(0..6));
}

#[test]
fn record_whose_sync_failed_before_a_kill_is_on_disk_when_it_is_built_upon() {
    for seed in 0..50 {
        let disk = FaultyDisk::new(seed);
        let mut parts = faulty(&disk);
        assert_eq!(commit(&mut parts, 0..3), Ok(Repeats::NONE));
        disk.fail([(1, Fault::SyncError), (0, Fault::Kill)]);
        assert_eq!(commit(&mut parts, 3..90), Err(AppendError::Failed));
        assert!(disk.is_dead());
        let disk = disk.next_life(false);
        let mut parts = faulty(&disk);
        assert_eq!(parts.1.waiting(), 90, "what was refused can be read, and is kept");
        assert_eq!(commit(&mut parts, 90..93), Ok(Repeats::NONE));
        let disk = disk.next_life(true);
        let parts = faulty(&disk);
        let mut seen = String::new();
        parts.1.for_each_waiting(|payload| seen += std::str::from_utf8(payload).unwrap()).unwrap();
        assert_eq!(seen, expected(0..93), "seed {seed}");
    }
}

#[test]
fn cursor_whose_sync_failed_before_a_kill_is_on_disk_when_it_is_built_upon() {
    for seed in 0..50 {
        let disk = FaultyDisk::new(seed);
        let mut parts = faulty(&disk);
        for n in 0..50 {
            assert_eq!(commit(&mut parts, n * 6..n * 6 + 6), Ok(Repeats::NONE));
        }
        let batch = parts.1.seal(1_000, 10_000).unwrap().unwrap();
        disk.fail([(1, Fault::SyncError), (0, Fault::Kill)]);
        assert!(parts.1.shipped(&batch).is_err());
        // The next start removes segments that this cursor says are shipped.
        let disk = disk.next_life(false);
        faulty(&disk);
        let disk = disk.next_life(true);
        let mut parts = faulty(&disk);
        assert_eq!(commit(&mut parts, 300..301), Ok(Repeats::NONE), "seed {seed}");
    }
}

/// Found by the model: the file was removed when the cursor could not be stored, and the cursor was on disk.
#[test]
fn batch_set_aside_stays_on_disk_while_nobody_knows_whether_the_cursor_is() {
    for (seed, power_cut) in (0..40).map(|n| (n / 2, n % 2 == 0)) {
        let disk = FaultyDisk::new(seed);
        let mut parts = faulty(&disk);
        assert_eq!(commit(&mut parts, 0..3), Ok(Repeats::NONE));
        let batch = parts.1.seal(10, 1_000).unwrap().unwrap();
        // Six calls make the file durable; then the cursor is written and synced.
        disk.fail([(6, Fault::SyncError)]);
        assert!(parts.1.set_aside(&batch, "a reason").is_err());
        let parts = faulty(&disk.next_life(power_cut));
        assert_eq!(parts.1.waiting() + parts.0.set_aside().records, 3, "seed {seed}");
    }
}

#[test]
fn full_disk_refuses_without_losing_and_takes_hits_again_when_there_is_room() {
    let disk = FaultyDisk::new(1);
    let mut parts = faulty(&disk);
    assert_eq!(commit(&mut parts, 0..3), Ok(Repeats::NONE));
    disk.leave(10);
    for _ in 0..3 {
        assert_eq!(commit(&mut parts, 3..6), Err(AppendError::Full));
        assert!(parts.0.is_failing());
    }
    let batch = parts.1.seal(100, 1_000).unwrap().expect("a full disk can be shipped empty");
    assert_eq!(text(&batch), expected(0..3));
    parts.1.shipped(&batch).unwrap();
    assert_eq!(segment::list(&disk, Path::new("spool")).unwrap(), [0u64; 0], "the room is given back");
    assert_eq!(commit(&mut parts, 3..6), Ok(Repeats::NONE), "the same room serves again");
    assert!(!parts.0.is_failing());
    assert_eq!(text(&parts.1.seal(100, 1_000).unwrap().unwrap()), expected(3..6));
}

#[test]
fn spool_that_failed_is_found_well_again_without_a_hit() {
    let disk = FaultyDisk::new(1);
    let mut parts = faulty(&disk);
    disk.leave(0);
    assert_eq!(commit(&mut parts, 0..3), Err(AppendError::Full));
    for (heal, failing) in [(false, true), (true, false)] {
        if heal {
            disk.heal();
        }
        parts.0.probe();
        let message = parts.3.try_recv().unwrap();
        parts.2.turn(message, &parts.3, &mut Vec::new());
        assert_eq!(parts.0.is_failing(), failing);
    }
    assert_eq!(commit(&mut parts, 0..3), Ok(Repeats::NONE));
}

#[test]
fn hit_sent_again_is_kept_once_but_not_before_its_first_attempt_succeeded() {
    let disk = FaultyDisk::new(1);
    let mut parts = faulty(&disk);
    assert_eq!(commit(&mut parts, 0..2), Ok(Repeats::NONE));
    assert_eq!(commit(&mut parts, 0..3), Ok(Repeats(vec![Ticket(0), Ticket(1)])));
    assert_eq!(
        commit(&mut parts, 0..3),
        Ok(Repeats(vec![Ticket(0), Ticket(1), Ticket(2)])),
        "nothing is written"
    );
    disk.leave(0);
    assert_eq!(commit(&mut parts, 3..4), Err(AppendError::Full));
    disk.heal();
    assert_eq!(commit(&mut parts, 3..4), Ok(Repeats::NONE));
    assert_eq!(commit(&mut parts, 3..4), Ok(Repeats(vec![Ticket(0)])));
    let batch = parts.1.seal(100, 1_000).unwrap().unwrap();
    parts.1.shipped(&batch).unwrap();
    let rest = parts.1.seal(100, 1_000).unwrap().map(|batch| text(&batch)).unwrap_or_default();
    assert_eq!(text(&batch) + &rest, expected(0..4));
}

#[tokio::test]
async fn shipped_records_are_forgotten_while_others_keep_coming() {
    let dir = tempfile::tempdir().unwrap();
    let (spool, mut reader) = open(Settings { segment_bytes: 1 << 20, ..settings(dir.path()) }).unwrap();
    append(&spool, 0..10).await.unwrap();
    let batch = reader.seal(10, 1_000).unwrap().unwrap();
    append(&spool, 10..12).await.unwrap();
    reader.shipped(&batch).unwrap();
    let end = spool.durable();
    // Closes the file.
    spool.forget_shipped().await.unwrap();
    append(&spool, 12..14).await.unwrap();
    assert_eq!(segments(dir.path()), [1, end], "those that come later are in another file");
    let batch = reader.seal(2, 1_000).unwrap().unwrap();
    reader.shipped(&batch).unwrap();
    assert_eq!((batch.end, segments(dir.path())), (end, vec![end]), "it goes with the last of its records");
    assert_eq!(text(&reader.seal(100, 1_000).unwrap().unwrap()), expected(12..14));
}

#[tokio::test]
async fn shipped_records_are_forgotten_without_waiting_for_a_full_segment() {
    let dir = tempfile::tempdir().unwrap();
    let (spool, mut reader) = open(Settings { segment_bytes: 1 << 20, ..settings(dir.path()) }).unwrap();
    let holds = |needle: &str| {
        segments(dir.path()).into_iter().any(|first| {
            let bytes = fs::read(segment::path(dir.path(), first)).unwrap();
            String::from_utf8_lossy(&bytes).contains(needle)
        })
    };
    append(&spool, 0..10).await.unwrap();
    spool.forget_shipped().await.unwrap();
    assert!(holds("[7]"), "what waits is kept");
    let batch = reader.seal(100, 1_000).unwrap().unwrap();
    reader.shipped(&batch).unwrap();
    spool.shipped_up_to(spool.durable()).await;
    assert!(holds("[7]"), "the control: it stays while its segment has room");
    spool.forget_shipped().await.unwrap();
    assert!(!holds("[7]"));
    spool.forget_shipped().await.unwrap();
    assert_eq!((segments(dir.path()).len(), spool.disk_bytes()), (0, 0), "once is enough");
    append(&spool, 10..20).await.unwrap();
    assert_eq!(text(&reader.seal(100, 1_000).unwrap().unwrap()), expected(10..20), "the numbers go on");
    drop((spool, reader));
    let (_spool, mut reader) = open(settings(dir.path())).unwrap();
    assert_eq!(text(&reader.seal(100, 1_000).unwrap().unwrap()), expected(10..20), "after a restart, too");
}
