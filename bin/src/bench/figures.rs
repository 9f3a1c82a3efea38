//! What is measured, under the names that stay.

use std::time::Duration;

use serde::Serialize;

/// Everything; `null` is what was not measured.
#[derive(Clone, Debug, Default, Serialize)]
pub struct Figures {
    /// Commands, from the client until they are visible in PostgreSQL.
    pub end_to_end: Option<EndToEnd>,
    /// Plain PostgreSQL with triggers.
    pub baseline: Option<Baseline>,
    /// How the two compare.
    pub ratio: Ratio,
    /// The projector alone, from a full log.
    pub projector: Option<Rate>,
    /// Building the tables of `messages` anew.
    pub replay: Option<Replay>,
    /// With 1,000 commands offered per second.
    pub latency_at_1000: Option<Latency>,
    /// What an event costs in a small log and in a large one.
    pub growth: Option<Growth>,
    /// The most memory that the workers had.
    pub memory: Option<Memory>,
    /// Over how many partitions the load is spread.
    pub partitions: Option<Partitions>,
    /// What makes the log durable.
    pub nodes: Option<Nodes>,
    /// What readers wait for.
    pub reads: Option<Reads>,
    /// Logging in.
    pub logins: Option<Logins>,
    /// Coming onto the broker.
    pub connects: Option<Connects>,
}

/// Logging in with passwords, by one handler that hashes one at a time.
#[derive(Clone, Copy, Debug, Serialize)]
pub struct Logins {
    /// Logins per second with few under way.
    pub per_second: f64,
    /// Passwords that one thread hashes per second, with nothing around it.
    pub limit_per_second: f64,
    /// The one over the other.
    pub ratio: f64,
    /// Half of those who show a wrong password hear so within.
    pub wrong_password_p50_ms: f64,
    /// Half of those who name nobody.
    pub unknown_name_p50_ms: f64,
    /// Half of those who name an account without a password.
    pub no_password_p50_ms: f64,
    /// Logins per second in a storm, beside messages.
    pub storm_per_second: f64,
    /// Attempts per second that are told to come later.
    pub storm_refused_per_second: f64,
    /// Half of the messages are answered within, without a storm.
    pub calm_p50_ms: f64,
    /// 99 of 100 are answered within, without a storm.
    pub calm_p99_ms: f64,
    /// Half of the messages are answered within, in one.
    pub storm_p50_ms: f64,
    /// 99 of 100 are answered within, in one.
    pub storm_p99_ms: f64,
}

/// 500 who come at once, by one nats-server, one callout and one handler.
#[derive(Clone, Copy, Debug, Serialize)]
pub struct Connects {
    /// With the tokens of sessions, about which the callout is asked.
    pub by_token: Burst,
    /// With a password that nats-server knows.
    pub by_password: Burst,
    /// The one over the other, connects per second.
    pub ratio: f64,
    /// How many had to try once more.
    pub again: u64,
    /// From the command that ends their sessions until the last one is gone.
    pub gone_ms: f64,
}

/// Those who come at once.
#[derive(Clone, Copy, Debug, Serialize)]
pub struct Burst {
    /// Connects per second.
    pub per_second: f64,
    /// Half are let in within.
    pub p50_ms: f64,
    /// 99 of 100 are let in within.
    pub p99_ms: f64,
}

/// One kind of load.
#[derive(Clone, Copy, Debug, Serialize)]
pub struct Load {
    /// Messages per second.
    pub per_second: f64,
    /// Half are answered within.
    pub p50_ms: f64,
    /// 99 of 100 are answered within.
    pub p99_ms: f64,
    /// Processor time per message, of all server processes.
    pub cpu_us_per_message: f64,
}

/// Loads that differ in how messages fall on conversations.
#[derive(Clone, Copy, Debug, Serialize)]
pub struct EndToEnd {
    /// Evenly.
    pub uniform: Load,
    /// By Zipf's law with exponent 1.1.
    pub zipf: Load,
    /// All on one.
    pub hot: Load,
}

/// Uniform loads on the conversations of so many partitions.
#[derive(Clone, Copy, Debug, Serialize)]
pub struct Partitions {
    /// Of one.
    pub one: Load,
    /// Of four.
    pub four: Load,
    /// Of all.
    pub sixteen: Load,
}

/// Uniform loads on logs that are kept in different ways.
#[derive(Clone, Copy, Debug, Serialize)]
pub struct Nodes {
    /// By one nats-server, which syncs.
    pub one_synced: Load,
    /// By three on this machine, which do not.
    pub three: Load,
}

/// The comparison.
#[derive(Clone, Copy, Debug, Serialize)]
pub struct Baseline {
    /// With a receipt row for each recipient.
    pub seed: Load,
    /// Without.
    pub lean: Load,
}

/// How many times as fast.
#[derive(Clone, Copy, Debug, Default, Serialize)]
pub struct Ratio {
    /// Uniform load over `seed`.
    pub seed: Option<f64>,
    /// Uniform load over `lean`.
    pub lean: Option<f64>,
    /// Hot load over uniform load.
    pub hot_to_uniform: Option<f64>,
}

/// Events per second.
#[derive(Clone, Copy, Debug, Serialize)]
pub struct Rate {
    /// Events per second.
    pub per_second: f64,
}

/// Building tables anew.
#[derive(Clone, Copy, Debug, Serialize)]
pub struct Replay {
    /// Events per second, indexes included.
    pub per_second: f64,
    /// The same rows by a bare `COPY` plus the same indexes: what PostgreSQL could do.
    pub limit_per_second: f64,
    /// The one over the other.
    pub ratio: f64,
}

/// Latency at a fixed load.
#[derive(Clone, Copy, Debug, Serialize)]
pub struct Latency {
    /// 99 of 100 are answered within.
    pub outcome_p99_ms: f64,
    /// 99 of 100 are visible in PostgreSQL within.
    pub visible_p99_ms: f64,
}

/// Cost over size.
#[derive(Clone, Copy, Debug, Serialize)]
pub struct Growth {
    /// Events in the log at first.
    pub events_small: u64,
    /// Events in the log at last.
    pub events_large: u64,
    /// Processor time per message at last over that at first.
    pub cost_ratio: f64,
}

/// Memory at its peak.
#[derive(Clone, Copy, Debug, Serialize)]
pub struct Memory {
    /// Of the command handler.
    pub handler_mib: f64,
    /// Of the projector.
    pub projector_mib: f64,
}

/// What readers wait for, and what the index for searching costs.
#[derive(Clone, Copy, Debug, Serialize)]
pub struct Reads {
    /// Messages in the table.
    pub messages: u64,
    /// The last 50 messages of a conversation.
    pub history: Read,
    /// 20 conversations with unread numbers.
    pub inbox: Read,
    /// A word in one's own conversations.
    pub search: Read,
    /// The same with an index on words.
    pub search_indexed: Read,
    /// Making that index.
    pub index_seconds: f64,
    /// Processor time of a message that is written, without that index.
    pub write_us: f64,
    /// The same with it.
    pub write_indexed_us: f64,
}

/// A question, under row-level security and by the owner with conditions of his own.
#[derive(Clone, Copy, Debug, Serialize)]
pub struct Read {
    /// Half are answered within.
    pub p50_ms: f64,
    /// 99 of 100 are answered within.
    pub p99_ms: f64,
    /// The same for the owner.
    pub owner_p50_ms: f64,
    /// The same for the owner.
    pub owner_p99_ms: f64,
    /// Median over median.
    pub ratio: f64,
}

impl Figures {
    /// Compares what there is to compare.
    pub(super) fn compare(&mut self) {
        let uniform = self.end_to_end.map(|it| it.uniform.per_second);
        let over = |other: Option<f64>| Some(uniform? / other?);
        self.ratio = Ratio {
            seed: over(self.baseline.map(|it| it.seed.per_second)),
            lean: over(self.baseline.map(|it| it.lean.per_second)),
            hot_to_uniform: self.end_to_end.map(|it| it.hot.per_second / it.uniform.per_second),
        };
    }
}

impl Figures {
    /// Ratios that have fallen below half of what they are in `docs/performance.md`, with that half.
    /// Absolute figures say little about anything but the machine.
    #[must_use]
    pub fn fallen(&self) -> Vec<(&'static str, f64, f64)> {
        let seed = self.baseline.map(|it| it.seed);
        let over_seed = |mine: Option<f64>, of: fn(&Load) -> f64| Some(mine? / of(&seed?));
        let cpu = self.end_to_end.map(|it| 1.0 / it.uniform.cpu_us_per_message);
        [
            ("uniform / seed", self.ratio.seed, 1.9),
            ("uniform / lean", self.ratio.lean, 1.05),
            ("hot / uniform", self.ratio.hot_to_uniform, 0.55),
            (
                "cost of seed / cost of uniform",
                over_seed(cpu, |it| 1.0 / it.cpu_us_per_message),
                2.1,
            ),
            (
                "projector alone / seed",
                over_seed(self.projector.map(|it| it.per_second), |it| it.per_second),
                5.5,
            ),
            ("replay / bare COPY", self.replay.map(|it| it.ratio), 0.17),
            ("small log / large log", self.growth.map(|it| 1.0 / it.cost_ratio), 0.5),
        ]
        .into_iter()
        .filter_map(|(name, ratio, least)| Some((name, ratio?, least)))
        .filter(|(_, ratio, least)| ratio < least)
        .collect()
    }
}

/// The value that this share of the sorted values does not exceed, in milliseconds.
pub(super) fn percentile(sorted: &[Duration], share: f64) -> f64 {
    let index = (sorted.len() as f64 * share).ceil() as usize;
    let value = sorted.get(index.saturating_sub(1)).copied().unwrap_or_default();
    value.as_secs_f64() * 1_000.0
}

/// Microseconds of processor time for each of so many messages.
pub(super) fn each(cpu: Duration, messages: usize) -> f64 {
    cpu.as_secs_f64() * 1_000_000.0 / messages.max(1) as f64
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn percentiles_are_values_that_occurred() {
        let values: Vec<Duration> = (1..=100).map(Duration::from_millis).collect();
        assert!((percentile(&values, 0.5) - 50.0).abs() < 1e-9);
        assert!((percentile(&values, 0.99) - 99.0).abs() < 1e-9);
        assert!(percentile(&[], 0.5).abs() < 1e-9);
    }
}
