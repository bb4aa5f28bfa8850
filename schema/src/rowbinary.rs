//! ClickHouse's RowBinary for the types of the data map.
//!
//! The collector encodes each event once, into the spool; shipping concatenates those bytes. A retried batch is
//! therefore identical to the first by construction.
//! Source: ClickHouse documentation, "RowBinary": little-endian numbers, LEB128 lengths before strings, arrays
//! and maps.

use compact_str::CompactString;

use crate::day::Day;

/// Milliseconds since 1970-01-01 UTC; ClickHouse `DateTime64(3, 'UTC')`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Millis(pub i64);

/// Ten-thousandths; ClickHouse `Decimal(18, 4)`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Decimal4(pub i64);

/// The longest string, array or map that [`Value::decode`] accepts. Our encoder never writes a longer one.
pub const LENGTH_MAX: usize = 1 << 20;

/// A value that can be written to and read from RowBinary.
pub trait Value: Sized {
    /// Appends the value to `out`.
    fn encode(&self, out: &mut Vec<u8>);
    /// Reads a value and advances `input` past it; `None` if the input is truncated or invalid.
    fn decode(input: &mut &[u8]) -> Option<Self>;
}

/// Whether the value is the one that means "not kept".
pub(crate) fn is_absent<T: Default + PartialEq>(value: &T) -> bool {
    *value == T::default()
}

fn take<'a>(input: &mut &'a [u8], len: usize) -> Option<&'a [u8]> {
    let (head, rest) = input.split_at_checked(len)?;
    *input = rest;
    Some(head)
}

fn encode_len(mut len: usize, out: &mut Vec<u8>) {
    while len >= 0x80 {
        out.push(len as u8 | 0x80);
        len >>= 7;
    }
    out.push(len as u8);
}

fn decode_len(input: &mut &[u8]) -> Option<usize> {
    let mut len = 0usize;
    for shift in (0..28).step_by(7) {
        let byte = u8::decode(input)?;
        len |= usize::from(byte & 0x7f) << shift;
        if byte & 0x80 == 0 {
            return (len <= LENGTH_MAX).then_some(len);
        }
    }
    None
}

macro_rules! number {
    ($($type:ty)*) => {$(
        impl Value for $type {
            fn encode(&self, out: &mut Vec<u8>) {
                out.extend_from_slice(&self.to_le_bytes());
            }
            fn decode(input: &mut &[u8]) -> Option<Self> {
                Some(Self::from_le_bytes(take(input, size_of::<Self>())?.try_into().ok()?))
            }
        }
    )*};
}
number!(u8 u16 u32 u64 i64);

macro_rules! wrapper {
    ($($type:ident)*) => {$(
        impl Value for $type {
            fn encode(&self, out: &mut Vec<u8>) {
                self.0.encode(out);
            }
            fn decode(input: &mut &[u8]) -> Option<Self> {
                Value::decode(input).map(Self)
            }
        }
    )*};
}
wrapper!(Day Millis Decimal4);

impl Value for bool {
    fn encode(&self, out: &mut Vec<u8>) {
        out.push(u8::from(*self));
    }
    fn decode(input: &mut &[u8]) -> Option<Self> {
        match u8::decode(input)? {
            0 => Some(false),
            1 => Some(true),
            _ => None,
        }
    }
}

impl Value for CompactString {
    fn encode(&self, out: &mut Vec<u8>) {
        encode_len(self.len(), out);
        out.extend_from_slice(self.as_bytes());
    }
    fn decode(input: &mut &[u8]) -> Option<Self> {
        let len = decode_len(input)?;
        Self::from_utf8(take(input, len)?).ok()
    }
}

impl<T: Value> Value for Vec<T> {
    fn encode(&self, out: &mut Vec<u8>) {
        encode_len(self.len(), out);
        for value in self {
            value.encode(out);
        }
    }
    fn decode(input: &mut &[u8]) -> Option<Self> {
        let len = decode_len(input)?;
        (0..len).map(|_| T::decode(input)).collect()
    }
}

impl<K: Value, V: Value> Value for (K, V) {
    fn encode(&self, out: &mut Vec<u8>) {
        self.0.encode(out);
        self.1.encode(out);
    }
    fn decode(input: &mut &[u8]) -> Option<Self> {
        Some((K::decode(input)?, V::decode(input)?))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn length_at_the_limit_decodes_and_one_more_does_not() {
        for (len, ok) in [(0, true), (127, true), (128, true), (LENGTH_MAX, true), (LENGTH_MAX + 1, false)] {
            let mut bytes = Vec::new();
            encode_len(len, &mut bytes);
            assert_eq!(decode_len(&mut bytes.as_slice()), ok.then_some(len), "{len}");
        }
    }

    #[test]
    fn values_have_the_documented_bytes() {
        let mut out = Vec::new();
        (CompactString::from("hé"), 258u32).encode(&mut out);
        assert_eq!(out, [3, b'h', 0xc3, 0xa9, 2, 1, 0, 0]);
    }
}
