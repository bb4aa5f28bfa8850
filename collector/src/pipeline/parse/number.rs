//! Numbers as JSON and forms write them.

use std::fmt;

use serde::{Deserialize, Deserializer, de};
use sotto_schema::rowbinary::Decimal4;

/// A measured number: fractions are rounded, negatives become 0, overflow becomes the maximum.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Measured(pub(super) u32);

impl<'de> Deserialize<'de> for Measured {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        f64::deserialize(deserializer).map(|n| Self(clamped(n, u32::MAX)))
    }
}

/// `n` rounded and clamped to 0..=`max`; NaN becomes 0.
pub(crate) fn clamped(n: f64, max: u32) -> u32 {
    (n.round() as u32).min(max)
}

/// 0, 1, true or false.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Flag(pub(super) bool);

impl<'de> Deserialize<'de> for Flag {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Visitor;
        impl de::Visitor<'_> for Visitor {
            type Value = Flag;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("0 or 1")
            }
            fn visit_bool<E>(self, flag: bool) -> Result<Flag, E> {
                Ok(Flag(flag))
            }
            fn visit_u64<E>(self, number: u64) -> Result<Flag, E> {
                Ok(Flag(number != 0))
            }
        }
        deserializer.deserialize_any(Visitor)
    }
}

/// `amount` in ten-thousandths, rounded; `None` if it overflows or is not a number.
pub(crate) fn decimal4(amount: f64) -> Option<Decimal4> {
    let scaled = (amount * 10_000.0).round();
    (scaled.abs() <= AMOUNT_MAX).then_some(Decimal4(scaled as i64))
}

/// The amount that `text` spells, such as `12.34`.
pub(crate) fn decimal4_text(text: &str) -> Option<Decimal4> {
    let plain = !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit() || b"+-.eE".contains(&b));
    plain.then(|| text.parse().ok()).flatten().and_then(decimal4)
}

/// The maximum amount in ten-thousandths: one billion. A double represents every ten-thousandth up to there.
const AMOUNT_MAX: f64 = 1.0e13;
