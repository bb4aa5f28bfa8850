//! The protocol between collectors: records, many of them in one frame.
//!
//! Each record begins with a type byte; numbers are little-endian. An unknown record closes the connection:
//! both ends run the same version (see the prologue of [`super::channel`]).

use sotto_schema::{
    day::Day,
    id::{SessionId, SiteId, ViewId, VisitorKey},
};

use crate::visitor::salts::{SALT_BYTES, Salt};

const SALT: u8 = 1;
const WANT: u8 = 2;
const ANSWER: u8 = 3;
const VISIT: u8 = 4;
const VIEW: u8 = 5;
const PING: u8 = 6;
const PONG: u8 = 7;
const OBJECTION: u8 = 8;

/// Maximum length of a text in a record, in bytes. A page with a longer host or path is not sent.
pub const TEXT_BYTES_MAX: usize = 4_096;

/// A question for a salt.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Want {
    /// Echoed in the answer.
    pub id: u64,
    /// Whose salt.
    pub site: SiteId,
    /// For which day.
    pub day: Day,
    /// Whether the receiver should make the salt if nobody has it.
    pub make: bool,
}

/// A visit that had a hit.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Visit {
    /// The site's number.
    pub site: SiteId,
    /// The visitor's key.
    pub visitor: VisitorKey,
    /// The visit's number.
    pub session: SessionId,
    /// When its last hit was, in milliseconds since 1970-01-01 UTC.
    pub time_ms: i64,
}

/// A record as it was received.
pub enum Record<'a> {
    /// A salt that the other end uses.
    Salt(SiteId, Day, Salt),
    /// A question for a salt.
    Want(Want),
    /// The end of an answer, and whether the salt exists; if so, it was sent before.
    Answer(u64, bool),
    /// A visit that had a hit.
    Visit(Visit),
    /// A page view: site, view, host and path.
    View(SiteId, ViewId, &'a str, &'a str),
    /// An objection of today: site, day and the visitor's key.
    Objection(SiteId, Day, VisitorKey),
    /// Keep-alive question.
    Ping,
    /// Keep-alive answer.
    Pong,
}

/// Writes a salt.
pub fn write_salt(site: SiteId, day: Day, salt: &Salt, out: &mut Vec<u8>) {
    out.push(SALT);
    out.extend_from_slice(&site.0.to_le_bytes());
    out.extend_from_slice(&day.0.to_le_bytes());
    salt.write(out);
}

/// Writes a question for a salt.
pub fn write_want(want: &Want, out: &mut Vec<u8>) {
    out.push(WANT);
    out.extend_from_slice(&want.id.to_le_bytes());
    out.extend_from_slice(&want.site.0.to_le_bytes());
    out.extend_from_slice(&want.day.0.to_le_bytes());
    out.push(want.make.into());
}

/// Writes the end of an answer.
pub fn write_answer(id: u64, has: bool, out: &mut Vec<u8>) {
    out.push(ANSWER);
    out.extend_from_slice(&id.to_le_bytes());
    out.push(has.into());
}

/// Writes a visit.
pub fn write_visit(visit: &Visit, out: &mut Vec<u8>) {
    out.push(VISIT);
    for number in [visit.site.0, visit.visitor.0, visit.session.0, visit.time_ms.cast_unsigned()] {
        out.extend_from_slice(&number.to_le_bytes());
    }
}

/// Writes a page view; nothing if its texts are too long.
pub fn write_view(site: SiteId, view: ViewId, hostname: &str, path: &str, out: &mut Vec<u8>) {
    if hostname.len().max(path.len()) > TEXT_BYTES_MAX {
        return;
    }
    out.push(VIEW);
    out.extend_from_slice(&site.0.to_le_bytes());
    out.extend_from_slice(&view.0.to_le_bytes());
    for text in [hostname, path] {
        out.extend_from_slice(&u16::try_from(text.len()).unwrap_or(0).to_le_bytes());
        out.extend_from_slice(text.as_bytes());
    }
}

/// Writes an objection.
pub fn write_objection(site: SiteId, day: Day, visitor: VisitorKey, out: &mut Vec<u8>) {
    out.push(OBJECTION);
    out.extend_from_slice(&site.0.to_le_bytes());
    out.extend_from_slice(&day.0.to_le_bytes());
    out.extend_from_slice(&visitor.0.to_le_bytes());
}

/// Writes a keep-alive question, or the answer to one.
pub fn write_presence(answer: bool, out: &mut Vec<u8>) {
    out.push(if answer { PONG } else { PING });
}

/// Reads the first record of `frame` and advances past it. `None` if it is unknown or malformed.
pub fn read<'a>(frame: &mut &'a [u8]) -> Option<Record<'a>> {
    Some(match byte(frame)? {
        SALT => {
            let (site, day) = (number(frame)?, Day(short(frame)?));
            let (salt, rest) = frame.split_first_chunk::<SALT_BYTES>()?;
            *frame = rest;
            Record::Salt(SiteId(site), day, Salt::from_slice(salt))
        }
        WANT => Record::Want(Want {
            id: number(frame)?,
            site: SiteId(number(frame)?),
            day: Day(short(frame)?),
            make: flag(frame)?,
        }),
        ANSWER => Record::Answer(number(frame)?, flag(frame)?),
        VISIT => Record::Visit(Visit {
            site: SiteId(number(frame)?),
            visitor: VisitorKey(number(frame)?),
            session: SessionId(number(frame)?),
            time_ms: number(frame)?.cast_signed(),
        }),
        VIEW => Record::View(SiteId(number(frame)?), ViewId(number(frame)?), text(frame)?, text(frame)?),
        OBJECTION => {
            Record::Objection(SiteId(number(frame)?), Day(short(frame)?), VisitorKey(number(frame)?))
        }
        PING => Record::Ping,
        PONG => Record::Pong,
        _ => return None,
    })
}

fn byte(frame: &mut &[u8]) -> Option<u8> {
    let (byte, rest) = frame.split_first()?;
    *frame = rest;
    Some(*byte)
}

fn flag(frame: &mut &[u8]) -> Option<bool> {
    match byte(frame)? {
        0 => Some(false),
        1 => Some(true),
        _ => None,
    }
}

fn short(frame: &mut &[u8]) -> Option<u16> {
    let (bytes, rest) = frame.split_first_chunk()?;
    *frame = rest;
    Some(u16::from_le_bytes(*bytes))
}

fn number(frame: &mut &[u8]) -> Option<u64> {
    let (bytes, rest) = frame.split_first_chunk()?;
    *frame = rest;
    Some(u64::from_le_bytes(*bytes))
}

fn text<'a>(frame: &mut &'a [u8]) -> Option<&'a str> {
    let len = usize::from(short(frame)?);
    if len > TEXT_BYTES_MAX {
        return None;
    }
    let (bytes, rest) = frame.split_at_checked(len)?;
    *frame = rest;
    std::str::from_utf8(bytes).ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn view_of(len: usize) -> Vec<u8> {
        let mut frame = Vec::new();
        write_view(SiteId(1), ViewId(2), "a.example", &"x".repeat(len), &mut frame);
        frame
    }

    #[test]
    fn records_come_out_as_they_were_written() {
        let mut frame = Vec::new();
        let want = Want { id: 9, site: SiteId(8), day: Day(20_000), make: true };
        let visit = Visit { site: SiteId(1), visitor: VisitorKey(2), session: SessionId(3), time_ms: -4 };
        let salt = Salt::from_bytes([5; SALT_BYTES]);
        write_salt(SiteId(7), Day(20_001), &salt, &mut frame);
        write_want(&want, &mut frame);
        write_answer(9, false, &mut frame);
        write_visit(&visit, &mut frame);
        write_view(SiteId(1), ViewId(2), "a.example", "/ä", &mut frame);
        write_objection(SiteId(1), Day(20_000), VisitorKey(2), &mut frame);
        write_presence(false, &mut frame);
        write_presence(true, &mut frame);
        let mut rest = frame.as_slice();
        let mut next = || read(&mut rest).unwrap();
        assert!(
            matches!(next(), Record::Salt(SiteId(7), Day(20_001), s) if s.commitment() == salt.commitment())
        );
        assert!(matches!(next(), Record::Want(w) if w == want));
        assert!(matches!(next(), Record::Answer(9, false)));
        assert!(matches!(next(), Record::Visit(v) if v == visit));
        assert!(matches!(next(), Record::View(SiteId(1), ViewId(2), "a.example", "/ä")));
        assert!(matches!(next(), Record::Objection(SiteId(1), Day(20_000), VisitorKey(2))));
        assert!(matches!(next(), Record::Ping));
        assert!(matches!(next(), Record::Pong));
        assert!(rest.is_empty());
    }

    #[test]
    fn text_at_the_limit_is_told_and_a_longer_one_is_not() {
        assert!(matches!(
            read(&mut view_of(TEXT_BYTES_MAX).as_slice()),
            Some(Record::View(SiteId(1), ViewId(2), _, path)) if path.len() == TEXT_BYTES_MAX
        ));
        assert!(view_of(TEXT_BYTES_MAX + 1).is_empty());
    }

    proptest! {
        #[test]
        fn any_bytes_are_read_or_refused_and_never_beyond_their_end(bytes in proptest::collection::vec(any::<u8>(), 0..300)) {
            let mut rest = bytes.as_slice();
            while !rest.is_empty() && read(&mut rest).is_some() {}
        }
    }
}
