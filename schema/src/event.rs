//! A stored hit and the fields it may have, generated from `datamap.toml`.
//!
//! Promises: an [`Event`] has exactly the columns of table `events`, in their order; [`Event::encode`] and
//! [`Event::decode`] are inverse. Proof: the tests below and `tests/suite/schema.rs` (against a real server).

include!(concat!(env!("OUT_DIR"), "/event.rs"));

/// A set of [`Field`]s.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct FieldSet(u128);

impl FieldSet {
    /// No field.
    pub const EMPTY: Self = Self(0);

    /// The set with `field` in it.
    #[must_use]
    pub const fn with(self, field: Field) -> Self {
        Self(self.0 | 1 << field as u8)
    }

    /// Whether `field` is in the set.
    pub const fn contains(self, field: Field) -> bool {
        self.0 & (1 << field as u8) != 0
    }

    /// Whether every field of this set is in `other`.
    pub const fn is_subset(self, other: Self) -> bool {
        self.0 & !other.0 == 0
    }

    /// The fields that are in either set.
    #[must_use]
    pub const fn union(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }

    /// The fields that are in both sets.
    #[must_use]
    pub const fn intersection(self, other: Self) -> Self {
        Self(self.0 & other.0)
    }

    /// The fields of the set, in the order of the columns.
    pub fn iter(self) -> impl Iterator<Item = Field> {
        Field::ALL.iter().copied().filter(move |f| self.contains(*f))
    }
}

impl FromIterator<Field> for FieldSet {
    fn from_iter<I: IntoIterator<Item = Field>>(fields: I) -> Self {
        fields.into_iter().fold(Self::EMPTY, Self::with)
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;
    use crate::id::SiteId;
    use crate::id::VisitorKey;
    use crate::{
        day::Day,
        rowbinary::{Decimal4, Millis},
    };
    use proptest::prelude::*;

    pub(crate) fn any_event() -> impl Strategy<Value = Event> {
        let text = || "[ -~äß]{0,40}".prop_map(compact_str::CompactString::from);
        (
            any::<(u64, u16, i64, u64, u32, bool, i64)>(),
            (0..Kind::ALL.len(), 0..Device::ALL.len()),
            (text(), text(), text(), text()),
            proptest::collection::vec((text(), text()), 0..5),
            proptest::collection::vec(text(), 0..5),
            proptest::collection::vec(any::<u32>(), 0..9),
        )
            .prop_map(|(n, (kind, device), t, props, click_path, click_at)| Event {
                site: SiteId(n.0),
                day: Day(n.1),
                time: Millis(n.2),
                visitor: VisitorKey(n.3),
                seq: n.4,
                gpc: n.5,
                revenue: Decimal4(n.6),
                kind: Kind::ALL[kind],
                device: Device::ALL[device],
                path: t.0,
                country: t.1,
                name: t.2,
                utm_source: t.3,
                props,
                click_path,
                click_at,
                ..Event::default()
            })
    }

    proptest! {
        #[test]
        fn encoded_event_decodes_to_itself(event in any_event()) {
            let mut bytes = Vec::new();
            event.encode(&mut bytes);
            let mut input = bytes.as_slice();
            prop_assert_eq!(Event::decode(&mut input), Some(event));
            prop_assert!(input.is_empty());
        }

        #[test]
        fn cut_event_decodes_to_none(event in any_event(), cut in any::<prop::sample::Index>()) {
            let mut bytes = Vec::new();
            event.encode(&mut bytes);
            bytes.truncate(cut.index(bytes.len()));
            prop_assert_eq!(Event::decode(&mut bytes.as_slice()), None);
        }

        #[test]
        fn arbitrary_bytes_never_panic(bytes in proptest::collection::vec(any::<u8>(), 0..300)) {
            let mut input = bytes.as_slice();
            while !input.is_empty() && Event::decode(&mut input).is_some() {}
        }

        #[test]
        fn retained_event_has_only_allowed_fields(mut event in any_event(), mask in any::<u128>()) {
            let allowed = FieldSet(mask);
            event.retain(allowed);
            prop_assert!(event.present().is_subset(allowed));
        }
    }
}
