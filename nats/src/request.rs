//! Messages that come in, in words that do not name the client library.

use async_nats::{HeaderMap, Message};
use bytes::Bytes;
use serde::Deserialize;

use crate::{Bus, BusError};

/// The headers of a message that came in.
#[derive(Clone, Debug, Default)]
pub struct IncomingHeaders(HeaderMap);

impl IncomingHeaders {
    /// Wraps what the client library gives.
    #[must_use]
    pub fn new(headers: Option<HeaderMap>) -> Self {
        Self(headers.unwrap_or_default())
    }

    /// The first value of a header, whatever the case of its name: other clients and proxies
    /// write `content-type`.
    #[must_use]
    pub fn get(&self, name: &str) -> Option<&str> {
        if let Some(value) = self.0.get(name) {
            return Some(value.as_str());
        }
        self.0
            .iter()
            .find(|(key, _)| AsRef::<str>::as_ref(*key).eq_ignore_ascii_case(name))
            .and_then(|(_, values)| values.first())
            .map(async_nats::HeaderValue::as_str)
    }
}

/// Who asks, or is connected, as the broker says it. Of a request that comes from another account it is
/// forgeable by whoever is in our own.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Requester {
    /// The account that it comes from.
    pub account: String,
    /// The IP address.
    pub host: String,
    /// Whom an end user's connection speaks for.
    pub actor: String,
    /// What it stands for.
    pub tags: Vec<String>,
}

impl Requester {
    /// Reads what the broker says; nothing where it says nothing of the kind.
    ///
    /// What it says is the last header, under this name in exactly this case. It takes away what a client
    /// says under it, but not all: a line that only some take for one, or one behind another name that
    /// holds this one, stays; and headers that end amiss have the broker's joined to their last line.
    ///
    /// # Errors
    /// A client has seen to it that the broker's word cannot be told from its own.
    pub fn of(headers: &IncomingHeaders) -> Result<Option<Self>, Garbled> {
        let Some((name, value)) = headers.0.last_received() else { return Ok(None) };
        if name == REQUEST_INFO {
            let Info { acc, host, user } = serde_json::from_str(&value).map_err(|_| Garbled)?;
            return Ok(Some(Self::new(&acc, host, &user)));
        }
        let is_joined = name.contains(REQUEST_INFO) || value.contains(REQUEST_INFO);
        if is_joined { Err(Garbled) } else { Ok(None) }
    }

    /// Whoever the broker knows under this name.
    pub(crate) fn new(account: &str, host: String, user: &str) -> Self {
        let mut parts = user.split('/').map(str::to_owned);
        let actor = parts.next().unwrap_or_default();
        Self { account: account.to_owned(), host, actor, tags: parts.collect() }
    }
}

/// Headers that hide who asks.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the headers do not tell who asks")]
pub struct Garbled;

const REQUEST_INFO: &str = "Nats-Request-Info";

#[derive(Deserialize)]
struct Info {
    acc: String,
    host: String,
    user: String,
}

/// The name under which the broker knows an end user. Of what the callout says it passes nothing else
/// on, the tags of the permission neither.
pub(crate) fn user_name(actor: &str, tags: &[String]) -> String {
    tags.iter().fold(actor.to_owned(), |name, tag| format!("{name}/{tag}"))
}

/// A request that came in.
#[derive(Debug)]
pub struct Incoming {
    /// Its subject.
    pub subject: String,
    /// Where its answer goes, if one is wanted.
    pub reply: Option<String>,
    /// Its headers.
    pub headers: IncomingHeaders,
    /// Its body.
    pub body: Bytes,
}

impl From<Message> for Incoming {
    fn from(message: Message) -> Self {
        Self {
            subject: message.subject.to_string(),
            reply: message.reply.map(|reply| reply.to_string()),
            headers: IncomingHeaders::new(message.headers),
            body: message.payload,
        }
    }
}

impl Bus {
    /// Removes a command from its stream so that nothing of it remains.
    ///
    /// # Errors
    /// What the broker says.
    pub async fn erase_command(&self, names: &crate::Names, sequence: u64) -> Result<(), BusError> {
        let stream = self
            .jetstream
            .get_stream_no_info(names.command_stream())
            .await
            .map_err(BusError::request)?;
        stream.delete_message(sequence).await.map_err(BusError::request)?;
        Ok(())
    }
}
