//! Time as an argument: the only place where the collector and the store read the clock.

use std::sync::{
    Arc,
    atomic::{AtomicI64, Ordering},
};

/// Where "now" comes from.
#[derive(Debug, Clone, Default)]
pub enum Clock {
    /// The system's clock.
    #[default]
    System,
    /// A clock set by tests and imports.
    Fixed(Arc<AtomicI64>),
}

impl Clock {
    /// A clock fixed at `ms`.
    pub fn fixed(ms: i64) -> Self {
        Self::Fixed(Arc::new(AtomicI64::new(ms)))
    }

    /// Milliseconds since 1970-01-01 UTC.
    pub fn now_ms(&self) -> i64 {
        match self {
            Self::System => now().as_millisecond(),
            Self::Fixed(ms) => ms.load(Ordering::Relaxed),
        }
    }
}

/// The current time. Code that needs it uses this; a lint (`clippy.toml`) forbids reading the clock
/// elsewhere.
#[allow(clippy::disallowed_methods)]
pub fn now() -> jiff::Timestamp {
    jiff::Timestamp::now()
}

/// Now, in milliseconds since 1970-01-01 UTC.
pub fn now_ms() -> i64 {
    Clock::System.now_ms()
}

/// Version number for a changed row: microseconds since 1970-01-01 UTC, so that the later change wins.
pub fn version() -> u64 {
    u64::try_from(now().as_microsecond()).unwrap_or(0)
}
