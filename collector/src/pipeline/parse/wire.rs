//! The objects of the body, as spelled on the wire. Keys are never reused; the table is in the format's
//! documentation.

use std::fmt;

use compact_str::{CompactString, ToCompactString};
use serde::{
    Deserialize, Deserializer,
    de::{self, IgnoredAny},
};
use serde_json::value::RawValue;
use sotto_schema::{event::Kind, rowbinary::Decimal4};

use super::{
    HITS_MAX, PROP_KEY_CHARS_MAX, PROP_VALUE_CHARS_MAX, PROPS_MAX, ParseError,
    number::{Flag, Measured, decimal4, decimal4_text},
    text::{Text, chars_within},
};

/// One object.
#[derive(Deserialize)]
pub(super) struct Wire<'a> {
    pub(super) v: u64,
    #[serde(borrow)]
    pub(super) s: Text<'a>,
    pub(super) k: WireKind,
    #[serde(default, borrow)]
    pub(super) i: Option<Text<'a>>,
    pub(super) q: u64,
    #[serde(default)]
    pub(super) c: Option<u64>,
    #[serde(default)]
    pub(super) a: u64,
    #[serde(default)]
    pub(super) b: Flag,
    #[serde(default, borrow)]
    pub(super) y: Option<Text<'a>>,
    #[serde(default, borrow)]
    pub(super) u: Option<Text<'a>>,
    #[serde(default, borrow)]
    pub(super) r: Option<Text<'a>>,
    #[serde(default)]
    pub(super) w: Option<Measured>,
    #[serde(default)]
    pub(super) e: Option<Measured>,
    #[serde(default)]
    pub(super) d: Option<Measured>,
    #[serde(default, borrow)]
    pub(super) n: Option<Text<'a>>,
    #[serde(default)]
    pub(super) p: Props,
    #[serde(default, borrow, rename = "m$")]
    pub(super) revenue: Option<Revenue<'a>>,
    #[serde(default)]
    pub(super) m: Option<WireVitals>,
    #[serde(default, borrow)]
    pub(super) h: Vec<WireClick<'a>>,
    #[serde(default, borrow)]
    pub(super) src: Option<Text<'a>>,
    #[serde(default, borrow)]
    pub(super) un: Vec<Text<'a>>,
    #[serde(default, borrow)]
    pub(super) rc: Option<WireReceipt<'a>>,
}

/// Several objects; one more than allowed is read, so that the caller can detect an excess.
pub(super) struct Batch<'a>(pub(super) Vec<&'a RawValue>);

impl<'de: 'a, 'a> Deserialize<'de> for Batch<'a> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Visitor;
        impl<'de> de::Visitor<'de> for Visitor {
            type Value = Batch<'de>;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("hits")
            }
            fn visit_seq<A: de::SeqAccess<'de>>(self, mut seq: A) -> Result<Self::Value, A::Error> {
                let mut wires: Vec<&RawValue> = Vec::new();
                while wires.len() <= HITS_MAX
                    && let Some(wire) = seq.next_element()?
                {
                    wires.push(wire);
                }
                while seq.next_element::<IgnoredAny>()?.is_some() {}
                Ok(Batch(wires))
            }
        }
        deserializer.deserialize_seq(Visitor)
    }
}

/// The kind of a hit.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(super) enum WireKind {
    /// Pageview.
    P,
    /// Engagement.
    E,
    /// Custom event.
    X,
    /// Web vitals.
    W,
    /// Clicks.
    C,
    /// Consent change.
    O,
}

impl From<WireKind> for Kind {
    fn from(kind: WireKind) -> Self {
        match kind {
            WireKind::P => Self::Pageview,
            WireKind::E => Self::Engagement,
            WireKind::X => Self::Custom,
            WireKind::W => Self::Vitals,
            WireKind::C => Self::Click,
            WireKind::O => Self::Consent,
        }
    }
}

/// Element, x and y in it, x and y in the page.
#[derive(Deserialize)]
pub(super) struct WireClick<'a>(
    #[serde(borrow)] pub(super) Text<'a>,
    pub(super) Measured,
    pub(super) Measured,
    pub(super) Measured,
    pub(super) Measured,
);

/// Number, policy version, language, and 1 under Global Privacy Control.
#[derive(Deserialize)]
pub(super) struct WireReceipt<'a> {
    #[serde(borrow)]
    pub(super) i: Text<'a>,
    #[serde(borrow)]
    pub(super) v: Text<'a>,
    #[serde(borrow)]
    pub(super) l: Text<'a>,
    #[serde(default)]
    pub(super) g: Flag,
}

/// Vitals under the names of the web-vitals library.
#[derive(Deserialize)]
#[serde(rename_all = "UPPERCASE")]
pub(super) struct WireVitals {
    pub(super) lcp: Option<f64>,
    pub(super) cls: Option<f64>,
    pub(super) inp: Option<f64>,
    pub(super) fcp: Option<f64>,
    pub(super) ttfb: Option<f64>,
}

/// Amount and currency.
#[derive(Deserialize)]
pub(super) struct Revenue<'a> {
    #[serde(borrow)]
    a: Scalar<'a>,
    #[serde(borrow)]
    c: Text<'a>,
}

impl Revenue<'_> {
    pub(super) fn into_amount(self) -> Result<(Decimal4, CompactString), ParseError> {
        let amount = match self.a {
            Scalar::Text(text) => decimal4_text(&text.0),
            Scalar::Number(number) => decimal4(number),
        };
        let amount = amount.ok_or(ParseError::Invalid("m$"))?;
        Ok((amount, currency(&self.c.0).ok_or(ParseError::Invalid("m$"))?))
    }
}

/// A currency in the form of ISO 4217, in upper case.
pub(crate) fn currency(code: &str) -> Option<CompactString> {
    let valid = code.len() == 3 && code.bytes().all(|b| b.is_ascii_alphabetic());
    valid.then(|| code.to_ascii_uppercase().into())
}

/// A value of a flat object.
#[derive(Deserialize)]
#[serde(untagged)]
enum Scalar<'a> {
    #[serde(borrow)]
    Text(Text<'a>),
    Number(f64),
}

/// Props in the order of the body.
#[derive(Default)]
pub(super) struct Props {
    pairs: Vec<(CompactString, CompactString)>,
    too_large: bool,
}

impl Props {
    pub(super) fn into_pairs(self) -> Result<Vec<(CompactString, CompactString)>, ParseError> {
        if self.too_large { Err(ParseError::TooLarge("p")) } else { Ok(self.pairs) }
    }

    fn add(&mut self, key: &str, value: &str) {
        let fits = !key.is_empty()
            && self.pairs.len() < PROPS_MAX
            && chars_within(key, PROP_KEY_CHARS_MAX)
            && chars_within(value, PROP_VALUE_CHARS_MAX);
        if fits {
            self.pairs.push((key.into(), value.into()));
        } else {
            self.too_large = true;
        }
    }
}

impl<'de> Deserialize<'de> for Props {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Visitor;
        impl<'de> de::Visitor<'de> for Visitor {
            type Value = Props;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a flat object")
            }
            fn visit_map<A: de::MapAccess<'de>>(self, mut map: A) -> Result<Props, A::Error> {
                let mut props = Props::default();
                while let Some(key) = map.next_key::<Text<'de>>()? {
                    if let Some(value) = map.next_value::<PropValue>()?.0 {
                        props.add(&key.0, &value);
                    }
                }
                Ok(props)
            }
        }
        deserializer.deserialize_map(Visitor)
    }
}

/// A string, or the text form of a number or flag; `None` for null.
struct PropValue(Option<CompactString>);

impl<'de> Deserialize<'de> for PropValue {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Visitor;
        impl de::Visitor<'_> for Visitor {
            type Value = PropValue;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("text, a number, true, false or null")
            }
            fn visit_str<E>(self, text: &str) -> Result<PropValue, E> {
                Ok(PropValue(Some(text.into())))
            }
            fn visit_bool<E>(self, flag: bool) -> Result<PropValue, E> {
                Ok(PropValue(Some(flag.to_compact_string())))
            }
            fn visit_i64<E>(self, number: i64) -> Result<PropValue, E> {
                Ok(PropValue(Some(number.to_compact_string())))
            }
            fn visit_u64<E>(self, number: u64) -> Result<PropValue, E> {
                Ok(PropValue(Some(number.to_compact_string())))
            }
            fn visit_f64<E>(self, number: f64) -> Result<PropValue, E> {
                Ok(PropValue(Some(number.to_compact_string())))
            }
            fn visit_unit<E>(self) -> Result<PropValue, E> {
                Ok(PropValue(None))
            }
        }
        deserializer.deserialize_any(Visitor)
    }
}
