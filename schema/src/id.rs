//! IDs, each kind with its own type, so that a visitor cannot be mistaken for a visit.
//!
//! In the tables, in the spool and between collectors each is a `UInt64`; 0 stands for "none" (of a site: also "all").

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::rowbinary::Value;

macro_rules! ids {
    ($($(#[$doc:meta])* $name:ident)*) => {$(
        $(#[$doc])*
        #[derive(
            Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default, Serialize, Deserialize,
        )]
        #[serde(transparent)]
        pub struct $name(pub u64);

        impl $name {
            /// 0: none.
            pub const NONE: Self = Self(0);

            /// Whether it identifies something.
            pub const fn is_some(self) -> bool {
                self.0 != 0
            }

            /// Whether it stands for none.
            pub const fn is_none(self) -> bool {
                self.0 == 0
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                self.0.fmt(f)
            }
        }

        impl Value for $name {
            fn encode(&self, out: &mut Vec<u8>) {
                self.0.encode(out);
            }
            fn decode(input: &mut &[u8]) -> Option<Self> {
                u64::decode(input).map(Self)
            }
        }
    )*};
}

macro_rules! row_ids {
    ($($name:ident)*) => {$(
        impl $name {
            /// A random number for a new row; never [`Self::NONE`].
            ///
            /// # Errors
            /// When the operating system has no randomness.
            pub fn random() -> Result<Self, getrandom::Error> {
                Ok(Self(getrandom::u64()? | 1))
            }
        }
    )*};
}

ids! {
    /// A site. In tokens, roles and audit log entries, [`SiteId::NONE`] stands for all sites or for none.
    SiteId
    /// A visitor of one site on one day: the keyed hash of address and user agent under the day's salt. None:
    /// anonymous.
    VisitorKey
    /// A visit: a visitor's events with gaps of less than half an hour. None: anonymous.
    SessionId
    /// A page view, numbered by the script. None: not numbered.
    ViewId
    /// A browser that consented to being recognised: the number it keeps for itself. None: no consent.
    ReturningId
    /// A user who may sign in. In the audit log, [`UserId::NONE`] stands for the command line.
    UserId
    /// An API token.
    TokenId
    /// A goal of a site.
    GoalId
    /// A funnel of a site.
    FunnelId
    /// Filters that are kept under a name.
    SegmentId
    /// What somebody wrote at a day of a site's charts.
    AnnotationId
    /// A webhook of a site.
    HookId
}
row_ids! { SiteId UserId TokenId GoalId FunnelId SegmentId AnnotationId HookId }

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn number_of_a_new_row_is_never_none() {
        for _ in 0..1_000 {
            assert!(!SiteId::random().unwrap().is_none());
        }
    }

    #[test]
    fn id_is_stored_and_written_as_its_number() {
        let id = SiteId(0x0102_0304_0506_0708);
        let mut bytes = Vec::new();
        id.encode(&mut bytes);
        assert_eq!(bytes, [8, 7, 6, 5, 4, 3, 2, 1]);
        assert_eq!(SiteId::decode(&mut &bytes[..]), Some(id));
        assert_eq!(serde_json::to_string(&id).unwrap(), "72623859790382856");
        assert_eq!(id.to_string(), "72623859790382856");
    }
}
