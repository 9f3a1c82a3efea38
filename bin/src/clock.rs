//! The one place that reads the clock and makes ids.

use echolog_events::{Time, Uuid};

/// The time now, with the microseconds that the log and PostgreSQL keep.
#[expect(clippy::disallowed_methods, reason = "this is the one place")]
#[must_use]
pub fn now() -> Time {
    let now = chrono::Utc::now();
    Time::from_timestamp_micros(now.timestamp_micros()).unwrap_or(now)
}

/// A new time-ordered id.
#[expect(clippy::disallowed_methods, reason = "this is the one place")]
#[must_use]
pub fn new_id() -> Uuid {
    Uuid::now_v7()
}
