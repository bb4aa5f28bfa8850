use proptest::prelude::*;

use super::*;

/// Chunk size of the format, in bytes.
const PIECE: usize = 64 << 10;

/// A directory with a key file, and its recipient.
fn with_key() -> (tempfile::TempDir, PathBuf, Recipient) {
    let dir = tempfile::tempdir().unwrap();
    let key = dir.path().join(KEY_FILE);
    let recipient = own_recipient(&key, 1_800_000_000_000).unwrap();
    (dir, key, recipient)
}

/// Something that looks like a tar archive of that length, with different bytes in every chunk.
fn archive(bytes: usize) -> Vec<u8> {
    let mut plain: Vec<u8> = (0..bytes).map(|n| (n / 7 + n / PIECE) as u8).collect();
    plain[TAR.0..TAR.0 + TAR.1.len()].copy_from_slice(TAR.1);
    plain
}

fn opened(file: &Path, key: &Path) -> Result<Vec<u8>, SealError> {
    let mut out = Vec::new();
    open(file, key, &mut out).map(|()| out)
}

#[test]
fn archive_of_any_length_opens_to_what_was_sealed() {
    use std::os::unix::fs::PermissionsExt;
    let (dir, key, recipient) = with_key();
    let (plain, file) = (dir.path().join("plain"), dir.path().join("sealed"));
    for bytes in [512, PIECE - 1, PIECE, PIECE + 1, 2 * PIECE, 3 * PIECE + 5] {
        let archive = archive(bytes);
        fs::write(&plain, &archive).unwrap();
        let size = seal(&plain, std::slice::from_ref(&recipient), &file).unwrap();
        assert_eq!(size, fs::metadata(&file).unwrap().len());
        assert!(opened(&file, &key).unwrap() == archive, "{bytes} bytes");
        let mode = fs::metadata(&file).unwrap().permissions().mode();
        assert_eq!(
            (mode & 0o777, fs::read_dir(dir.path()).unwrap().count()),
            (0o600, 3),
            "nothing else is left"
        );
    }
}

#[test]
fn old_archive_is_read_without_a_key_unless_it_was_cut_off() {
    let (dir, _, _) = with_key();
    let (file, none) = (dir.path().join("old.tar"), dir.path().join("none"));
    let mut old = tar::Builder::new(Vec::new());
    for (name, bytes) in [("one", 700), ("two", 1024), ("empty", 0)] {
        let mut header = tar::Header::new_ustar();
        header.set_size(bytes);
        old.append_data(&mut header, name, io::repeat(7).take(bytes)).unwrap();
    }
    let old = old.into_inner().unwrap();
    for cut in 0..=old.len() {
        fs::write(&file, &old[..cut]).unwrap();
        match opened(&file, &none) {
            Ok(read) => assert!(cut == old.len() && read == old, "{cut}"),
            Err(SealError::NoBackup(_)) => assert!(cut < TAR.0 + TAR.1.len(), "{cut}"),
            Err(error) => {
                assert!(cut < old.len() && matches!(error, SealError::Damaged(_)), "{cut}: {error}")
            }
        }
    }
}

#[test]
fn key_file_is_made_once_for_its_owner_alone() {
    use std::os::unix::fs::PermissionsExt;
    let (_dir, key, recipient) = with_key();
    assert_eq!(fs::metadata(&key).unwrap().permissions().mode() & 0o777, 0o600);
    let text = fs::read_to_string(&key).unwrap();
    assert!(
        text.contains(&format!("# public key: {recipient}\nAGE-SECRET-KEY-1")),
        "as age-keygen writes it"
    );
    make_key(&key, 0).unwrap(); // As if two began at once.
    assert_eq!(own_recipient(&key, 0).unwrap().to_string(), recipient.to_string());
    assert_eq!(fs::read_to_string(&key).unwrap(), text);
}

#[test]
fn every_holder_of_a_key_can_open_and_nobody_else() {
    let (dir, key, recipient) = with_key();
    let (_other_dir, other_key, other) = with_key();
    let (_stranger_dir, stranger, _) = with_key();
    let (plain, file) = (dir.path().join("plain"), dir.path().join("sealed"));
    fs::write(&plain, archive(1000)).unwrap();
    seal(&plain, &[recipient, other], &file).unwrap();
    assert!(opened(&file, &key).is_ok() && opened(&file, &other_key).is_ok());
    assert!(matches!(opened(&file, &stranger), Err(SealError::WrongKey { .. })));
    assert!(matches!(opened(&file, &dir.path().join("none")), Err(SealError::NoKeyFile { .. })));
    let nobody = seal(&plain, &[], &dir.path().join("for-nobody"));
    assert!(matches!(nobody, Err(SealError::Recipients(_))) && !dir.path().join("for-nobody").exists());
}

#[test]
fn file_of_identities_is_read_up_to_its_limit_and_errors_do_not_repeat_it() {
    let (dir, key, _) = with_key();
    let text = fs::read_to_string(&key).unwrap();
    let file = dir.path().join("identities");
    let long = |bytes: u64| format!("{text}#{}", "x".repeat(bytes as usize - text.len() - 1)).into_bytes();
    for (content, keys) in [
        (long(IDENTITY_BYTES_MAX), Some(1)),
        (long(IDENTITY_BYTES_MAX + 1), None),
        (format!("{text}\r\n{text}").into_bytes(), Some(2)),
        (text.replace("AGE-SECRET-KEY-1", "AGE-SECRET-KEY-2").into_bytes(), None),
        (b"# nothing but a comment\n".to_vec(), None),
        (vec![0xff; 10], None),
        (vec![], None),
    ] {
        fs::write(&file, &content).unwrap();
        let found = identities(&file);
        assert_eq!(found.as_ref().ok().map(Vec::len), keys, "{:?}", String::from_utf8_lossy(&content));
        if let Err(error) = found {
            let (error, secret) = (error.to_string(), text.lines().last().unwrap());
            assert!(error.contains("identities") && !error.contains(&secret[20..]), "{error}");
        }
    }
}

#[test]
fn file_that_was_cut_off_changed_or_lengthened_is_refused() {
    let (dir, key, recipient) = with_key();
    let (plain, file) = (dir.path().join("plain"), dir.path().join("sealed"));
    fs::write(&plain, archive(2 * PIECE + 100)).unwrap();
    seal(&plain, &[recipient], &file).unwrap();
    let whole = fs::read(&file).unwrap();
    let head = whole.len() - (2 * PIECE + 100) - 3 * 16;
    let piece = PIECE + 16;
    let swapped = |a: usize, b: usize| {
        let mut bytes = whole.clone();
        let (x, y) = (head + a * piece, head + b * piece);
        bytes[x..x + piece].copy_from_slice(&whole[y..y + piece]);
        bytes[y..y + piece].copy_from_slice(&whole[x..x + piece]);
        bytes
    };
    let flipped = |at: usize| {
        let mut bytes = whole.clone();
        bytes[at] ^= 1;
        bytes
    };
    for (what, bytes) in [
        ("cut in the header", whole[..40].to_vec()),
        ("cut after the header", whole[..head].to_vec()),
        ("cut after a piece", whole[..head + piece].to_vec()),
        ("cut after two pieces", whole[..head + 2 * piece].to_vec()),
        ("cut by a byte", whole[..whole.len() - 1].to_vec()),
        ("lengthened", [&whole[..], b"x"].concat()),
        ("twice", [&whole[..], &whole[..]].concat()),
        ("pieces swapped", swapped(0, 1)),
        ("header changed", flipped(SEALED.len() + 60)),
        ("nonce changed", flipped(head - 1)),
        ("first piece changed", flipped(head)),
        ("last byte changed", flipped(whole.len() - 1)),
    ] {
        fs::write(&file, bytes).unwrap();
        let error = opened(&file, &key).unwrap_err();
        let known = matches!(error, SealError::Damaged(_) | SealError::WrongKey { .. });
        assert!(known && error.to_string().contains("sealed"), "{what}: {error}");
    }
    for (what, bytes) in [("empty", vec![]), ("first byte changed", flipped(0)), ("text", vec![b'x'; 600])] {
        fs::write(&file, bytes).unwrap();
        assert!(matches!(opened(&file, &key), Err(SealError::NoBackup(_))), "{what}");
    }
}

proptest! {
    #[test]
    fn any_changed_bit_and_any_cut_is_found(at in 0.0..1.0f64, bit in 0..8u8, cut in any::<bool>()) {
        let (dir, key, recipient) = with_key();
        let (plain, file) = (dir.path().join("plain"), dir.path().join("sealed"));
        fs::write(&plain, archive(2000)).unwrap();
        seal(&plain, &[recipient], &file).unwrap();
        let mut bytes = fs::read(&file).unwrap();
        let at = (bytes.len() as f64 * at) as usize;
        if cut { bytes.truncate(at) } else { bytes[at] ^= 1 << bit }
        fs::write(&file, bytes).unwrap();
        prop_assert!(opened(&file, &key).is_err());
    }
}
