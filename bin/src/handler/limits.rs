//! How fast an actor may send commands, and an address open connections.

use std::collections::HashMap;
use std::net::IpAddr;
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
    /// At how many buckets the full ones go.
    tidy_at: usize,
}

/// How many buckets are kept before the full ones go, at least.
const BUCKETS: usize = 100_000;

impl Limiter {
    pub(crate) fn new(limit: RateLimit) -> Self {
        Self { limit, buckets: HashMap::new(), tidy_at: BUCKETS }
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
        if self.buckets.len() >= self.tidy_at {
            self.buckets.retain(|_, bucket| filled(*bucket) < burst);
            // Where most are in use it is not worth it each time.
            self.tidy_at = BUCKETS.max(2 * self.buckets.len());
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

/// What is limited together: an address, of IPv6 the network that one customer has.
pub(crate) fn customer(address: IpAddr) -> String {
    match address.to_canonical() {
        IpAddr::V4(address) => address.to_string(),
        IpAddr::V6(address) => format!("{:x}/64", address.to_bits() >> 64),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    #[test]
    fn one_customer_is_limited_together() {
        let customer = |address: &str| customer(address.parse().expect("an address"));
        assert_eq!(customer("2001:db8:1:2:3::4"), customer("2001:db8:1:2::9"));
        assert_ne!(customer("2001:db8:1:2::9"), customer("2001:db8:1:3::9"));
        assert_eq!(customer("::ffff:192.0.2.1"), customer("192.0.2.1"));
        assert_ne!(customer("192.0.2.2"), customer("192.0.2.1"));
    }

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
