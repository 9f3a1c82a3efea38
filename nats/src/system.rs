//! The system account: which connections there are, and how to end one.

use std::time::Duration;

use async_nats::{HeaderMap, Subscriber};
use bytes::Bytes;
use futures::{Stream, StreamExt};
use serde::Deserialize;

use crate::{Bus, BusError};

/// How long a server may take to end a connection.
const KICK_TIMEOUT: Duration = Duration::from_secs(2);

/// A connection to one of the servers.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct ConnectionId {
    /// The id of the server.
    pub server: String,
    /// Its number there.
    pub number: u64,
}

impl Bus {
    /// Ends a connection; takes the credential of the system account. One that has ended by itself
    /// is no error.
    ///
    /// # Errors
    /// The server does not answer.
    pub async fn kick(&self, connection: &ConnectionId) -> Result<(), BusError> {
        let ConnectionId { server, number } = connection;
        let subject = format!("$SYS.REQ.SERVER.{server}.KICK");
        let body = Bytes::from(format!("{{\"cid\":{number}}}"));
        self.request(subject, HeaderMap::new(), body, KICK_TIMEOUT).await?;
        Ok(())
    }

    /// The connections of an account, each when it ends; takes the credential of the system account.
    ///
    /// # Errors
    /// The connection is closed for good.
    pub async fn ended_connections(
        &self,
        account: &str,
    ) -> Result<impl Stream<Item = ConnectionId> + Send + Unpin + use<>, BusError> {
        let ended: Subscriber =
            self.subscribe(format!("$SYS.ACCOUNT.{account}.DISCONNECT"), None).await?;
        Ok(Box::pin(ended.filter_map(|message| {
            let ended = serde_json::from_slice::<Ended>(&message.payload).ok();
            std::future::ready(
                ended.map(|it| ConnectionId { server: it.server.id, number: it.client.id }),
            )
        })))
    }
}

#[derive(Deserialize)]
struct Ended {
    server: Server,
    client: Client,
}

#[derive(Deserialize)]
struct Server {
    id: String,
}

#[derive(Deserialize)]
struct Client {
    id: u64,
}
