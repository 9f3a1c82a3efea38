//! How fast an actor may send commands, and an address open connections.

use std::collections::HashMap;
use std::time::Instant;

/// A token bucket per actor or address: `per_second` on average, `burst` at once.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct RateLimit {
    /// How many per second; 0 for no limit.
    pub per_second: f64,
    /// How many at once.
    pub burst: f64,
}

impl Default for RateLimit {
    fn default() -> Self {
        Self { per_second: 200.0, burst: 1000.0 }
    }
}

/// The buckets of those seen lately.
#[derive(Debug)]
pub(crate) struct Limiter {
    limit: RateLimit,
    buckets: HashMap<String, (f64, Instant)>,
}

/// How many buckets are kept before the full ones go.
const BUCKETS: usize = 100_000;

impl Limiter {
    pub(crate) fn new(limit: RateLimit) -> Self {
        Self { limit, buckets: HashMap::new() }
    }

    /// Whether one more of this key is allowed now.
    pub(crate) fn allows(&mut self, key: &str, now: Instant) -> bool {
        let RateLimit { per_second, burst } = self.limit;
        if per_second <= 0.0 {
            return true;
        }
        let filled = |(tokens, since): (f64, Instant)| {
            (tokens + now.duration_since(since).as_secs_f64() * per_second).min(burst)
        };
        if self.buckets.len() >= BUCKETS {
            self.buckets.retain(|_, bucket| filled(*bucket) < burst);
        }
        let tokens = self.buckets.get(key).map_or(burst, |bucket| filled(*bucket));
        let allowed = tokens >= 1.0;
        let left = if allowed { tokens - 1.0 } else { tokens };
        match self.buckets.get_mut(key) {
            Some(bucket) => *bucket = (left, now),
            None => {
                self.buckets.insert(key.to_owned(), (left, now));
            }
        }
        allowed
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    #[test]
    fn a_bucket_empties_and_fills() {
        let mut limiter = Limiter::new(RateLimit { per_second: 10.0, burst: 2.0 });
        let now = Instant::now();
        assert!(limiter.allows("a", now));
        assert!(limiter.allows("a", now));
        assert!(!limiter.allows("a", now));
        assert!(limiter.allows("b", now));
        assert!(limiter.allows("a", now + Duration::from_millis(150)));
    }
}
