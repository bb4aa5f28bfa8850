//! Questions that wait for memory.
//!
//! The memory of ClickHouse is shared with merges, hits and readers. A query that finds none left at a moment is asked
//! again a little later: it may be slow once, it does not fail. What needs more than one query may have is another matter: it
//! is read in parts ([`ErrorCode::is_too_much`]).

use std::time::Duration;

use clickhouse::error::Error;

use crate::error_code::ErrorCode;

/// Pauses before a query is asked again for somebody who looks at a page.
pub const PAUSES: [Duration; 5] = [
    Duration::from_millis(100),
    Duration::from_millis(250),
    Duration::from_millis(500),
    Duration::from_secs(1),
    Duration::from_secs(2),
];
/// How ClickHouse names the memory of all together.
const OF_ALL: &str = "(total)";

/// Whether the memory of all was in use, and not that of the query.
fn is_for_now(error: &Error) -> bool {
    let Error::BadResponse(text) = error else { return false };
    let first = text.lines().next().unwrap_or_default();
    ErrorCode::of(error) == Some(ErrorCode::MEMORY_LIMIT) && first.contains(OF_ALL)
}

/// Asks, and asks again after each of the pauses while the memory of all is in use.
///
/// # Errors
/// When ClickHouse cannot be asked, or has no memory for it at the end either.
pub async fn asked<T, F: Future<Output = Result<T, Error>>>(
    pauses: impl IntoIterator<Item = Duration>,
    mut ask: impl FnMut() -> F,
) -> Result<T, Error> {
    for pause in pauses {
        match ask().await {
            Err(error) if is_for_now(&error) => {
                tracing::info!(
                    pause_ms = pause.as_millis(),
                    "the memory of ClickHouse is in use; a query waits"
                );
                tokio::time::sleep(pause).await;
            }
            answer => return answer,
        }
    }
    ask().await
}

#[cfg(test)]
mod tests {
    use std::cell::Cell;

    use super::*;

    const IN_USE: &str = "Code: 241. DB::Exception: (total) memory limit exceeded: would use 601.12 MiB (attempt to allocate chunk of 1.00 MiB), maximum: 572.20 MiB. (MEMORY_LIMIT_EXCEEDED)";
    const TOO_LARGE: &str = "Code: 241. DB::Exception: Query memory limit exceeded: would use 301.12 MiB, maximum: 286.10 MiB: While executing X.\n(total) (MEMORY_LIMIT_EXCEEDED)";

    #[tokio::test]
    async fn query_waits_for_memory_of_all_and_is_not_asked_again_for_anything_else() {
        for (text, refusals, asked_times, succeeds) in [
            (IN_USE, 0, 1, true),
            (IN_USE, 1, 2, true),
            (IN_USE, PAUSES.len(), PAUSES.len() + 1, true),
            (IN_USE, PAUSES.len() + 1, PAUSES.len() + 1, false),
            (TOO_LARGE, 1, 1, false),
            ("Code: 159. DB::Exception: Timeout exceeded: (total)", 1, 1, false),
        ] {
            let times = Cell::new(0);
            let answer = asked(PAUSES.map(|_| Duration::ZERO), async || {
                times.set(times.get() + 1);
                if times.get() <= refusals { Err(Error::BadResponse(text.into())) } else { Ok(()) }
            })
            .await;
            assert_eq!((times.get(), answer.is_ok()), (asked_times, succeeds), "{text}, {refusals} times");
        }
    }
}
