//! How much is measured.

use std::time::Duration;

use serde::Serialize;

/// The size of the workload and of each measurement.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct Scale {
    /// Users.
    pub users: usize,
    /// Conversations, of 2 to 50 members.
    pub conversations: usize,
    /// Events in the log, and in the tables, when the measuring begins.
    pub events_small: u64,
    /// Events there when it ends: a cost that grows with them shows.
    pub events_large: u64,
    /// Seconds that each load lasts.
    pub seconds: u64,
    /// Commands under way at once.
    pub in_flight: usize,
}

impl Scale {
    /// Everything at the size that targets are set for.
    pub const FULL: Self = Self {
        users: 100_000,
        conversations: 10_000,
        events_small: 1_000_000,
        events_large: 10_000_000,
        seconds: 60,
        in_flight: 1_000,
    };

    /// In under 5 minutes.
    pub const QUICK: Self = Self {
        users: 10_000,
        conversations: 2_000,
        events_small: 100_000,
        events_large: 1_000_000,
        seconds: 10,
        in_flight: 1_000,
    };

    /// How long each load lasts.
    pub(super) fn duration(&self) -> Duration {
        Duration::from_secs(self.seconds)
    }
}
