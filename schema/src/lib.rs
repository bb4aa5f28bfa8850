//! What Sotto may store, and its vocabulary: data map, events, consent policies, outcomes, channels, days,
//! sites.
//!
//! A leaf crate: it knows no HTTP request, no address and no database. Storage is the job of the crate in
//! `store/`.

pub mod archived;
pub mod channel;
pub mod claims;
pub mod clock;
pub mod datamap;
pub mod day;
pub mod dimension;
pub mod event;
pub mod id;
pub mod origin;
pub mod outcome;
pub mod policy;
pub mod privacy;
pub mod referrers;
pub mod rowbinary;
pub mod site;
pub mod throttle;
