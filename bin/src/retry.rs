//! Waiting between attempts: the one place that knows the `backoff` crate.

use std::time::Duration;

use backoff::ExponentialBackoff;
use backoff::backoff::Backoff;

/// Pauses that grow from 50 ms to 5 s, with some chance in them so that processes do not march in
/// step. Ends never.
#[derive(Debug)]
pub struct Retry(ExponentialBackoff);

impl Default for Retry {
    fn default() -> Self {
        Self(ExponentialBackoff {
            initial_interval: Duration::from_millis(50),
            current_interval: Duration::from_millis(50),
            max_interval: Duration::from_secs(5),
            max_elapsed_time: None,
            ..ExponentialBackoff::default()
        })
    }
}

impl Retry {
    /// Waits for the next pause.
    pub async fn pause(&mut self) {
        let pause = self.0.next_backoff().unwrap_or(self.0.max_interval);
        tokio::time::sleep(pause).await;
    }

    /// It worked: the next pause is a short one again.
    pub fn reset(&mut self) {
        self.0.reset();
    }
}
