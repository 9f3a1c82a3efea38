//! Chance that can be had again: everything random in these tests follows from one seed.

use std::time::Duration;

/// Numbers that follow from a seed.
#[derive(Clone, Debug)]
pub(super) struct Chance(fastrand::Rng);

impl Chance {
    pub(super) fn new(seed: u64) -> Self {
        Self(fastrand::Rng::with_seed(seed))
    }

    pub(super) fn next(&mut self) -> u64 {
        self.0.u64(..)
    }

    /// A number below a limit.
    pub(super) fn below(&mut self, limit: u64) -> u64 {
        self.0.u64(..limit)
    }

    /// A time of up to so many milliseconds.
    pub(super) fn up_to(&mut self, milliseconds: u64) -> Duration {
        Duration::from_millis(self.below(milliseconds))
    }

    /// One of them; `None` of none.
    pub(super) fn pick<'a, T>(&mut self, of: &'a [T]) -> Option<&'a T> {
        self.0.choice(of)
    }
}

/// The seed that `ECHOLOG_SEED` says, else a new one. A test that fails shows it.
pub(super) fn seed() -> u64 {
    use std::hash::{BuildHasher, RandomState};
    let given = std::env::var("ECHOLOG_SEED").ok().and_then(|seed| seed.parse().ok());
    let seed = given.unwrap_or_else(|| RandomState::new().hash_one(()) >> 32);
    println!("ECHOLOG_SEED={seed} repeats it");
    seed
}

/// How long rounds of chance last: `ECHOLOG_SOAK_SECONDS`, else what a run of all tests has time
/// for.
pub(super) fn rounds() -> Duration {
    let soak = std::env::var("ECHOLOG_SOAK_SECONDS").ok().and_then(|seconds| seconds.parse().ok());
    Duration::from_secs(soak.unwrap_or(30))
}
