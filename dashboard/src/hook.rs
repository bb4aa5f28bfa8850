//! Webhooks: how other servers are told of a site's goals and alerts, without becoming a way into the operator's own network.
//!
//! Promises: a message goes to a public address only, which is the one that was checked ([`address`]); it is signed
//! ([`sign`]); what the other server answers is not followed, not read and not waited for long ([`carrier`]). It says what a
//! viewer of the site sees ([`message`]). What was not accepted is sent again, under the same id, as long as it is news ([`messenger`]).
//!
//! Proof: the tests of the modules, and `tests/suite/webhooks.rs` with real servers.

/// Test messages that are under way at once; who asks for one more is told to try again.
pub(crate) const TESTS_MAX: usize = 4;

pub mod address;
pub mod carrier;
mod message;
pub mod messenger;
pub mod sign;
