//! Finds personal data in text: one left-to-right pass over words, no backtracking.
//!
//! Text is split at every character that cannot be part of an address, a number or a token. Each rule sees
//! each such run once, and whole.

use std::borrow::Cow;

/// Replaces an e-mail address.
pub const EMAIL: &str = "[email]";
/// Replaces a phone number.
pub const PHONE: &str = "[phone]";
/// Replaces a token or another secret.
pub const TOKEN: &str = "[token]";
/// Replaces a network address.
pub const IP: &str = "[ip]";
/// Replaces the identifier of a thing or person.
pub const ID: &str = "[id]";
/// Replaces a value that is personal because of what it is called.
pub const MASKED: &str = "[masked]";

/// The text with every finding replaced by its mask.
pub(super) fn masked(text: &str) -> Cow<'_, str> {
    let mut out = String::new();
    let mut kept = 0;
    for finding in Findings::of(text) {
        out.push_str(&text[kept..finding.start]);
        out.push_str(finding.mask);
        kept = finding.end;
    }
    if kept == 0 {
        return Cow::Borrowed(text);
    }
    out.push_str(&text[kept..]);
    Cow::Owned(out)
}

/// The mask of the first finding.
pub(super) fn found(text: &str) -> Option<&'static str> {
    Findings::of(text).next().map(|f| f.mask)
}

/// The mask of the first finding by which a person can be reached.
pub(super) fn person(text: &str) -> Option<&'static str> {
    Findings::of(text).map(|f| f.mask).find(|mask| [EMAIL, PHONE, IP].contains(mask))
}

struct Finding {
    start: usize,
    end: usize,
    mask: &'static str,
}

/// The findings of a text, from left to right.
struct Findings<'a> {
    text: &'a str,
    at: usize,
    has_at_sign: bool,
}

impl<'a> Findings<'a> {
    fn of(text: &'a str) -> Self {
        Self { text, at: 0, has_at_sign: text.contains('@') || text.contains("%40") }
    }
}

impl Iterator for Findings<'_> {
    type Item = Finding;

    fn next(&mut self) -> Option<Finding> {
        loop {
            let rest = &self.text[self.at..];
            let start = self.at + rest.find(|c| !is_separator(c))?;
            let len = self.text[start..].find(is_separator).unwrap_or(self.text.len() - start);
            let end = start + len;
            let word = &self.text[start..end];
            let finding = match whole(word, self.has_at_sign) {
                Some(mask) => Some(Finding { start, end, mask }),
                None => {
                    let part =
                        identifier(word).map(|f| Finding { start: start + f.start, end: start + f.end, ..f });
                    let number = number(self.text, start, end);
                    match (part, number) {
                        (Some(part), Some(number)) if part.start < number.start => Some(part),
                        (part, number) => number.or(part),
                    }
                }
            };
            match finding {
                Some(finding) => {
                    self.at = finding.end;
                    return Some(finding);
                }
                None => self.at = end,
            }
        }
    }
}

/// Word separators: characters that occur in neither an address nor a token.
fn is_separator(c: char) -> bool {
    match c {
        '/' | '?' | '&' | '=' | '#' | ',' | ';' | ':' | '"' | '\'' | '<' | '>' | '(' | ')' | '[' | ']'
        | '{' | '}' | '|' | '\\' => true,
        _ => c.is_whitespace(),
    }
}

/// The mask for a word that must be masked as a whole.
fn whole(word: &str, has_at_sign: bool) -> Option<&'static str> {
    if has_at_sign && is_email(word) {
        Some(EMAIL)
    } else if is_jwt(word) || is_random_word(word) {
        Some(TOKEN)
    } else if is_ip(word) {
        Some(IP)
    } else {
        None
    }
}

/// `@`, plain or encoded, between a non-empty part and a name with a top-level domain. `@name` alone is a
/// handle, `package@1.2.3` a version.
fn is_email(word: &str) -> bool {
    let mut parts = word.split('@').flat_map(|part| part.split("%40"));
    let mut local = parts.next().unwrap_or_default();
    parts.any(|domain| {
        let named = !std::mem::replace(&mut local, domain).is_empty();
        named && is_domain(domain)
    })
}

/// A name, a dot and a plausible top-level domain, whatever follows.
fn is_domain(text: &str) -> bool {
    let mut labels = text.split('.');
    let named = labels.next().is_some_and(|label| !label.is_empty());
    named && labels.any(|label| label.chars().take(2).filter(|c| c.is_alphabetic()).count() == 2)
}

/// Base64url parts between dots, the first of which encodes `{"`.
fn is_jwt(word: &str) -> bool {
    let mut parts = word.split('.');
    let (Some(head), Some(body)) = (parts.next(), parts.next()) else { return false };
    head.starts_with("eyJ") && head.len() >= 10 && body.len() >= 4
}

/// An address of IP version 4.
fn is_ip(word: &str) -> bool {
    let mut groups = word.split('.');
    let valid =
        groups.by_ref().take(4).filter(|g| !g.is_empty() && g.len() <= 3 && g.parse::<u8>().is_ok()).count();
    valid == 4 && groups.next().is_none()
}

/// The first of UUIDs, long numbers, long hexadecimal numbers and random strings within a word (`order_123456789`).
fn identifier(word: &str) -> Option<Finding> {
    if word.len() < DIGITS_MIN {
        return None;
    }
    match (uuid(word), long_part(word)) {
        (Some(uuid), Some(part)) if part.start < uuid.start => Some(part),
        (uuid, part) => uuid.or(part),
    }
}

/// A UUID, including adjacent letters and digits: they may be a number of their own.
fn uuid(word: &str) -> Option<Finding> {
    let found = word.as_bytes().windows(36).position(is_uuid)?;
    let touches = |b: &&u8| b.is_ascii_alphanumeric();
    let (before, after) = (&word.as_bytes()[..found], &word.as_bytes()[found + 36..]);
    let start = found - before.iter().rev().take_while(touches).count();
    let end = found + 36 + after.iter().take_while(touches).count();
    Some(Finding { start, end, mask: ID })
}

/// A run of letters and digits that must be masked.
fn long_part(word: &str) -> Option<Finding> {
    let mut start = 0;
    for part in word.split(|c: char| !c.is_ascii_alphanumeric()) {
        if let Some(mask) = part_mask(part) {
            return Some(Finding { start, end: start + part.len(), mask });
        }
        let next = word[start + part.len()..].chars().next();
        start += part.len() + next.map_or(0, char::len_utf8);
    }
    None
}

/// 8-4-4-4-12 hexadecimal digits.
fn is_uuid(window: &[u8]) -> bool {
    window.iter().enumerate().all(|(i, b)| match i {
        8 | 13 | 18 | 23 => *b == b'-',
        _ => b.is_ascii_hexdigit(),
    })
}

/// The mask for a run of ASCII letters and digits.
fn part_mask(part: &str) -> Option<&'static str> {
    let digits = part.bytes().filter(u8::is_ascii_digit).count();
    let longest = part.split(|c: char| !c.is_ascii_digit()).map(str::len).max().unwrap_or_default();
    if longest >= DIGITS_MIN {
        return Some(ID);
    }
    if part.len() >= HEX_MIN && digits >= 2 && part.bytes().all(|b| b.is_ascii_hexdigit()) {
        return Some(ID);
    }
    (part.len() >= TOKEN_MIN && digits >= 2 && class_changes(part) >= 5).then_some(TOKEN)
}

/// A token with `-` and `_` in it: mixes character classes more than any title does.
fn is_random_word(word: &str) -> bool {
    word.len() >= TOKEN_WORD_MIN
        && word.bytes().all(|b| b.is_ascii_alphanumeric() || b"-_~+%".contains(&b))
        && word.bytes().filter(u8::is_ascii_digit).count() >= 3
        && word.bytes().any(|b| b.is_ascii_uppercase())
        && word.bytes().any(|b| b.is_ascii_lowercase())
        && class_changes(word) >= 9
}

/// Number of changes between lower case, upper case and digits.
fn class_changes(text: &str) -> usize {
    let class = |b: u8| match b {
        b'0'..=b'9' => 1,
        b'A'..=b'Z' => 2,
        b'a'..=b'z' => 3,
        _ => 0,
    };
    text.as_bytes()
        .windows(2)
        .filter(|w| class(w[0]) != 0 && class(w[1]) != 0 && class(w[0]) != class(w[1]))
        .count()
}

/// The first phone number, or other grouped number (cards, bank accounts), that begins in the word from
/// `start` to `end`. It begins at the start of the word or after a character that is neither letter nor
/// digit, and may continue across spaces and brackets.
fn number(text: &str, start: usize, end: usize) -> Option<Finding> {
    let bytes = text.as_bytes();
    (start..end)
        .filter(|i| matches!(bytes[*i], b'0'..=b'9' | b'+'))
        .filter(|i| *i == start || !bytes[i - 1].is_ascii_alphanumeric())
        .find_map(|i| number_at(text, i))
}

fn number_at(text: &str, start: usize) -> Option<Finding> {
    let bytes = text.as_bytes();
    let mut run = Run { digits: 0, groups: 1, end: start };
    let mut before = None;
    let mut gap = 0;
    for (i, byte) in bytes.iter().enumerate().skip(start + usize::from(bytes[start] == b'+')) {
        match byte {
            b'0'..=b'9' if run.digits == GROUPED_DIGITS_MAX => break,
            b'0'..=b'9' => {
                if gap > 0 {
                    before = Some(run);
                    run.groups += 1;
                    gap = 0;
                }
                run.digits += 1;
                run.end = i + 1;
            }
            b' ' | b'-' | b'.' | b'(' | b')' if gap < 2 => gap += 1,
            _ => break,
        }
    }
    // A number that runs into a word ends at the previous group: `+49 170 1234567 5a`.
    if bytes.get(run.end).is_some_and(u8::is_ascii_alphanumeric) {
        run = before?;
    }
    if !run.is_number(&text[start..run.end]) {
        return None;
    }
    let opened = start > 0 && bytes[start - 1] == b'(';
    let mask = if run.digits <= PHONE_DIGITS_MAX { PHONE } else { ID };
    Some(Finding { start: start - usize::from(opened), end: run.end, mask })
}

/// Digits in groups.
#[derive(Clone, Copy)]
struct Run {
    digits: usize,
    groups: usize,
    end: usize,
}

impl Run {
    /// Whether the digits form a number: with a country code, an area code, or three or more groups.
    fn is_number(self, text: &str) -> bool {
        if text.starts_with('+') || text.starts_with("00") {
            self.digits >= 8
        } else if text.starts_with('0') {
            self.digits >= 9 && self.groups >= 2
        } else {
            self.digits >= 10 && self.groups >= 3 && !is_date(text)
        }
    }
}

/// Starts with year, month and day: `2026-11-21-1430`.
fn is_date(text: &str) -> bool {
    let mut groups = text.split(['-', '.', ' ']).map(|g| g.parse::<u32>().unwrap_or(0));
    let mut within = |low, high| groups.next().is_some_and(|n| (low..=high).contains(&n));
    within(1900, 2100) && within(1, 12) && within(1, 31)
}

/// Shorter numbers name pages (years, articles, products).
const DIGITS_MIN: usize = 9;
/// Shorter hexadecimal numbers are as often words or short asset hashes.
const HEX_MIN: usize = 16;
/// Shorter mixed strings are too often names.
const TOKEN_MIN: usize = 16;
/// The same for strings with dashes, which titles also have.
const TOKEN_WORD_MIN: usize = 20;
/// The longest phone number (ITU-T E.164).
const PHONE_DIGITS_MAX: usize = 15;
/// No number in groups is longer (IBAN).
const GROUPED_DIGITS_MAX: usize = 34;
