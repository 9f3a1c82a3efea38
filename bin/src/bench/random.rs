//! Chance that is the same in every run.

/// Numbers that follow from a seed.
#[derive(Clone, Debug)]
pub(super) struct Random(fastrand::Rng);

impl Random {
    pub(super) fn new(seed: u64) -> Self {
        Self(fastrand::Rng::with_seed(seed))
    }

    /// Any number.
    pub(super) fn next(&mut self) -> u64 {
        self.0.u64(..)
    }

    /// From 0 up to, not including, 1.
    pub(super) fn unit(&mut self) -> f64 {
        self.0.f64()
    }

    /// From 0 up to, not including, `bound`.
    pub(super) fn below(&mut self, bound: usize) -> usize {
        (self.unit() * bound as f64) as usize
    }

    /// One of several.
    pub(super) fn choose<'a, T>(&mut self, from: &'a [T]) -> &'a T {
        &from[self.below(from.len())]
    }

    /// Exponentially distributed with this mean, rounded down.
    pub(super) fn exponential(&mut self, mean: f64) -> usize {
        (-(1.0 - self.unit()).ln() * mean) as usize
    }
}

/// Ranks under Zipf's law: rank `r` as often as `1 / (r + 1)^exponent` says.
#[derive(Clone, Debug)]
pub(super) struct Zipf(Vec<f64>);

impl Zipf {
    pub(super) fn new(ranks: usize, exponent: f64) -> Self {
        let mut sum = 0.0;
        let weights = (1..=ranks).map(|rank| (rank as f64).powf(-exponent));
        Self(
            weights
                .map(|weight| {
                    sum += weight;
                    sum
                })
                .collect(),
        )
    }

    /// A rank, from 0.
    pub(super) fn pick(&self, random: &mut Random) -> usize {
        let at = random.unit() * self.0.last().copied().unwrap_or_default();
        self.0.partition_point(|sum| *sum <= at)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn low_ranks_come_more_often() {
        let (zipf, mut random) = (Zipf::new(1000, 1.1), Random::new(1));
        let mut counts = vec![0; 1000];
        for _ in 0..100_000 {
            counts[zipf.pick(&mut random)] += 1;
        }
        let expected = 2_f64.powf(1.1);
        let found = f64::from(counts[0]) / f64::from(counts[1]);
        assert!((found / expected - 1.0).abs() < 0.1, "{found} instead of {expected}");
    }

    #[test]
    fn an_exponential_has_its_mean() {
        let mut random = Random::new(2);
        let sum: usize = (0..100_000).map(|_| random.exponential(10.0)).sum();
        assert!((940_000..960_000).contains(&sum), "rounding down takes half off: {sum}");
    }
}
