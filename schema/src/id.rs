//! Numbers that name things in the tables.

/// A random number for a new row. 0 is left free: it stands for "all" or "none".
///
/// # Errors
/// When the operating system has no randomness.
pub fn random_id() -> Result<u64, getrandom::Error> {
    Ok(getrandom::u64()? | 1)
}
