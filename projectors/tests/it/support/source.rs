//! The log as a rebuild reads it.

use std::convert::Infallible;

use echolog_events::Recorded;
use echolog_projectors::rebuild::{EventSource, Page};

/// A log in memory, read a few events at a time.
pub(crate) struct Source<'a>(pub(crate) &'a [Recorded]);

impl EventSource for Source<'_> {
    type Error = Infallible;

    async fn read(&mut self, after: u64) -> Result<Page, Infallible> {
        let events: Vec<Recorded> =
            self.0.iter().filter(|event| event.seq > after).take(7).cloned().collect();
        let to = events.last().map_or(after, |event| event.seq);
        Ok(Page { events, to })
    }
}
