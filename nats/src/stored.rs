//! Messages of the log as they are stored, for copies of it.

use async_nats::{HeaderMap, jetstream};
use bytes::Bytes;
use echolog_events::Time;
use serde::{Deserialize, Serialize};

/// What the broker puts before the names of its own headers.
const BROKER: &str = "Nats-";

/// A message of the log, with everything that makes it what it is.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Stored {
    /// Its sequence.
    pub seq: u64,
    /// The broker's time.
    pub stored: Time,
    /// Its subject.
    pub subject: String,
    /// Its headers.
    pub headers: Vec<(String, String)>,
    /// Its body.
    pub payload: Bytes,
}

impl Stored {
    pub(crate) fn new(message: &jetstream::Message, seq: u64, stored: Time) -> Self {
        let headers = message.headers.iter().flat_map(HeaderMap::iter);
        let headers = headers
            .flat_map(|(name, values)| {
                values.iter().map(move |value| (name.to_string(), value.as_str().to_owned()))
            })
            .collect();
        let (subject, payload) = (message.subject.to_string(), message.payload.clone());
        Self { seq, stored, subject, headers, payload }
    }

    /// Stands where a message is missing, or belongs to half a group: under no event's subject, so
    /// that nobody takes it for one.
    #[must_use]
    pub fn missing(tenant: &str, seq: u64, stored: Time) -> Self {
        let subject = format!("evt.{tenant}.missing");
        Self { seq, stored, subject, headers: Vec::new(), payload: Bytes::new() }
    }

    /// Its headers without those that told the broker how to take it.
    pub(crate) fn own_headers(&self) -> HeaderMap {
        let mut headers = HeaderMap::new();
        for (name, value) in self.headers.iter().filter(|(name, _)| !name.starts_with(BROKER)) {
            headers.append(name.as_str(), value.as_str());
        }
        headers
    }
}
