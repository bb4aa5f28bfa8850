//! Everything that happens to a hit between its bytes and its event. Pure and synchronous.

pub mod bots;
pub mod device;
pub mod dropin;
pub mod hit;
pub mod parse;
pub mod referrer;
pub mod sanitise;
