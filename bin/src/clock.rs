//! The one place that reads the clock and makes ids.

use std::sync::LazyLock;

use chrono::TimeDelta;
use echolog_events::{Time, Uuid};

/// By how many seconds the clock of this process is wrong: for tests that want to see that it does not
/// matter. Builds for use know nothing of it.
const WRONG_BY: &str = "ECHOLOG_CLOCK_WRONG_BY";

static WRONG: LazyLock<TimeDelta> = LazyLock::new(|| {
    let seconds = std::env::var(WRONG_BY).ok().filter(|_| cfg!(debug_assertions));
    TimeDelta::seconds(seconds.and_then(|seconds| seconds.parse().ok()).unwrap_or_default())
});

/// The time now, with the microseconds that the log and PostgreSQL keep.
#[expect(clippy::disallowed_methods, reason = "this is the one place")]
#[must_use]
pub fn now() -> Time {
    let now = chrono::Utc::now() + *WRONG;
    Time::from_timestamp_micros(now.timestamp_micros()).unwrap_or(now)
}

/// A new time-ordered id.
#[expect(clippy::disallowed_methods, reason = "this is the one place")]
#[must_use]
pub fn new_id() -> Uuid {
    let (high, low) = Uuid::now_v7().as_u64_pair();
    // Milliseconds are its first 48 bits.
    let wrong = WRONG.num_milliseconds().cast_unsigned() << 16;
    Uuid::from_u64_pair(high.wrapping_add(wrong), low)
}
