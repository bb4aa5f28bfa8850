//! What Sotto may store, and the words for it: the data map, events, consent policies, outcomes, channels, days, sites.
//!
//! A leaf of the house: it knows no HTTP request, no address and no database. Where and how it is stored is the
//! business of the crate in `store/`.

pub mod channel;
pub mod claims;
pub mod clock;
pub mod datamap;
pub mod day;
pub mod dimension;
pub mod event;
pub mod id;
pub mod outcome;
pub mod policy;
pub mod privacy;
pub mod rowbinary;
pub mod site;
pub mod throttle;
