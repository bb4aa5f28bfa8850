//! Who sent a hit, for one day: the client's address, the day's salt, the key made of both, and what is remembered
//! under that key (the visit, the page view, an objection).
//!
//! Promises: an address ends here; it can be located and hashed, never printed or stored. A key means nothing once its
//! salt is destroyed. Everything that is remembered is bounded. It knows neither sites' rules nor what a hit says.

pub mod client_ip;
pub mod imports;
pub mod key;
pub mod objections;
pub mod page_view_cache;
pub mod salts;
pub mod sessions;
