//! Values that are written as text: what is wrong is answered with what is allowed and an example.

use std::{fmt, marker::PhantomData, str::FromStr};

use bytesize::ByteSize;
use jiff::SignedDuration;
use serde::{Deserializer, de};

/// A duration, like "250ms".
pub(super) fn duration<'de, D: Deserializer<'de>>(from: D) -> Result<SignedDuration, D::Error> {
    from.deserialize_any(Quoted::of("a duration in quotes, like \"250ms\", \"10s\" or \"1h\""))
}

/// A size, like "600MB".
pub(super) fn size<'de, D: Deserializer<'de>>(from: D) -> Result<ByteSize, D::Error> {
    from.deserialize_any(Quoted::of("a size in quotes, like \"600MB\" or \"4GB\""))
}

/// Any other value of which there is a text form.
pub(super) fn value<'de, T: FromStr, D: Deserializer<'de>>(
    from: D,
    allowed: &'static str,
) -> Result<T, D::Error> {
    from.deserialize_any(Quoted::of(allowed))
}

struct Quoted<T> {
    allowed: &'static str,
    value: PhantomData<T>,
}

impl<T> Quoted<T> {
    const fn of(allowed: &'static str) -> Self {
        Self { allowed, value: PhantomData }
    }
}

impl<T: FromStr> de::Visitor<'_> for Quoted<T> {
    type Value = T;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.allowed)
    }

    fn visit_str<E: de::Error>(self, text: &str) -> Result<T, E> {
        text.parse().map_err(|_| E::custom(format_args!("{text:?}, but it must be {}", self.allowed)))
    }
}
