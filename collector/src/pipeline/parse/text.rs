//! Text that is borrowed from the body where it has no escapes.

use std::{borrow::Cow, fmt};

use serde::{Deserialize, Deserializer, de};

/// A string of the body. serde's own `Cow` copies always inside an `Option`; `&str` refuses escapes.
#[derive(Debug)]
pub(crate) struct Text<'a>(pub(crate) Cow<'a, str>);

impl<'de: 'a, 'a> Deserialize<'de> for Text<'a> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Visitor;
        impl<'de> de::Visitor<'de> for Visitor {
            type Value = Text<'de>;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("text")
            }
            fn visit_borrowed_str<E>(self, text: &'de str) -> Result<Self::Value, E> {
                Ok(Text(Cow::Borrowed(text)))
            }
            fn visit_str<E>(self, text: &str) -> Result<Self::Value, E> {
                Ok(Text(Cow::Owned(text.to_owned())))
            }
        }
        deserializer.deserialize_str(Visitor)
    }
}

/// Whether `text` has at most `max` characters, without counting when its bytes already tell.
pub(crate) fn chars_within(text: &str, max: usize) -> bool {
    text.len() <= max || (text.len() <= max * 4 && text.chars().count() <= max)
}
