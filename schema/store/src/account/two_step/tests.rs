use super::*;
use crate::account::ACCOUNT_KEY_BYTES;

const SECRET: &[u8; SECRET_BYTES] = b"12345678901234567890";

fn ann() -> User {
    User { id: UserId(7), email: "ann@example.org".into(), name: String::new(), created_ms: 0 }
}

fn key(byte: u8) -> AccountKey {
    AccountKey::of_file(&[byte; ACCOUNT_KEY_BYTES]).unwrap()
}

fn row(password: &str, totp: &str) -> UserRow {
    UserRow {
        id: UserId(7),
        email: "ann@example.org".into(),
        name: String::new(),
        password: password.into(),
        totp: totp.into(),
        created: 0,
        version: 1,
        deleted: 0,
    }
}

/// RFC 6238, appendix B, SHA-1: the last six of its eight digits.
const VECTORS: [(i64, &str); 6] = [
    (59, "287082"),
    (1_111_111_109, "081804"),
    (1_111_111_111, "050471"),
    (1_234_567_890, "005924"),
    (2_000_000_000, "279037"),
    (20_000_000_000, "353130"),
];

#[test]
fn codes_are_those_of_rfc_6238() {
    for (seconds, code) in VECTORS {
        let step = u64::try_from(seconds).unwrap() / STEP_SECONDS;
        assert_eq!(matching_step(SECRET, &ann(), code, seconds * 1000), Ok(Some(step)), "{seconds}");
    }
}

#[test]
fn code_of_one_step_away_is_accepted_and_of_two_is_not() {
    let (seconds, code) = VECTORS[2];
    let begin = seconds / 30 * 30;
    for (now, accepted) in [(begin - 31, false), (begin - 30, true), (begin + 59, true), (begin + 60, false)]
    {
        let step = u64::try_from(begin / 30).unwrap();
        let expected = accepted.then_some(step);
        assert_eq!(matching_step(SECRET, &ann(), code, now * 1000), Ok(expected), "{}", now - begin);
    }
}

#[test]
fn code_is_read_as_people_type_it_and_nothing_else_is() {
    let now = VECTORS[0].0 * 1000;
    for (typed, accepted) in [
        ("287082", true),
        (" 287 082 ", true),
        ("94287082", false),
        ("28708", false),
        ("2870820", false),
        ("28708a", false),
        ("+87082", false),
        ("", false),
        ("２８７０８２", false),
    ] {
        assert_eq!(matching_step(SECRET, &ann(), typed, now).unwrap().is_some(), accepted, "{typed:?}");
    }
}

#[test]
fn recovery_code_is_found_in_any_writing_and_for_its_user_only() {
    let key = key(1);
    let codes = new_recovery_codes().unwrap();
    assert_eq!(codes.len(), RECOVERY_CODES);
    let mark = |code: &String| key.mark(UserId(7), &recovery(code).unwrap());
    let marks = codes.iter().map(mark).collect::<Vec<_>>().concat();
    for code in &codes {
        let shouted = code.to_uppercase().replace('-', " ");
        assert!(matching_mark(&key, &marks, &ann(), code).is_some());
        assert!(matching_mark(&key, &marks, &ann(), &shouted).is_some());
        assert!(matching_mark(&key, &marks, &User { id: UserId(8), ..ann() }, code).is_none());
        assert!(matching_mark(&self::key(2), &marks, &ann(), code).is_none());
    }
    for wrong in ["", "0000-0000-0000-0000", "zzzz-zzzz-zzzz-zzzz", &codes[0][1..]] {
        assert!(matching_mark(&key, &marks, &ann(), wrong).is_none(), "{wrong}");
    }
}

#[test]
fn ticket_ends_with_its_time_and_with_password_or_secret() {
    let key = key(1);
    let pending = Pending::of(&row("hash", "sealed"));
    let sealed = |issued| key.seal(Purpose::Ticket, UserId(7), &ticket_text(&pending, issued)).unwrap();
    for (age, valid) in
        [(-CLOCKS_MS - 1, false), (-CLOCKS_MS, true), (0, true), (TICKET_MS, true), (TICKET_MS + 1, false)]
    {
        let now = 1_800_000_000_000;
        assert_eq!(check_ticket(&key, &pending, &sealed(now - age), now).is_ok(), valid, "{age}");
    }
    for changed in [row("other", "sealed"), row("hash", "other")] {
        assert!(check_ticket(&key, &Pending::of(&changed), &sealed(0), 0).is_err());
    }
    assert!(check_ticket(&self::key(2), &pending, &sealed(0), 0).is_err());
    assert!(check_ticket(&key, &pending, "", 0).is_err());
}

#[test]
fn ticket_is_not_given_without_the_key_of_the_secret() {
    let sealed = key(1).seal(Purpose::Secret, UserId(7), SECRET).unwrap();
    let pending = Pending::of(&row("hash", &sealed));
    assert!(ticket(Some(&key(1)), &pending).is_ok());
    for (key, why) in [(None, KeyError::Missing), (Some(&key(2)), KeyError::Other)] {
        assert!(matches!(ticket(key, &pending), Err(TwoStepError::Key(e)) if e == why), "{why}");
    }
}

#[test]
fn password_alone_is_the_whole_proof_only_without_a_second_step() {
    assert!(matches!(proof(&row("hash", "")), Proof::Whole(_)));
    assert!(matches!(proof(&row("hash", "anything")), Proof::First(_)));
}

#[test]
fn enrolment_is_read_by_apps_and_only_by_its_user() {
    let key = key(1);
    let first = enrol(Some(&key), &ann()).unwrap();
    assert_eq!(first.base32.len(), 32);
    let expected = format!("otpauth://totp/Sotto:ann%40example.org?secret={}&issuer=Sotto", first.base32);
    assert_eq!(first.url, expected);
    let again = enrol_again(Some(&key), &ann(), &first.sealed).unwrap();
    assert_eq!(again.base32, first.base32);
    assert!(enrol_again(Some(&key), &User { id: UserId(8), ..ann() }, &first.sealed).is_err());
    assert!(!first.sealed.contains(&first.base32));
}
