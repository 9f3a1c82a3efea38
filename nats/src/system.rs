//! The system account: which connections there are, and how to end one.

use std::time::Duration;

use async_nats::{HeaderMap, Subscriber};
use bytes::Bytes;
use futures::{Stream, StreamExt};
use serde::Deserialize;
use serde_json::json;
use tokio::time::timeout;

use crate::{Bus, BusError, Requester};

/// How long a server may take to end a connection.
const KICK_TIMEOUT: Duration = Duration::from_secs(2);

/// How long the next server may take to say who is connected.
const GATHER: Duration = Duration::from_secs(1);

/// How many connections a server names at a time.
const PAGE: usize = 200;

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

    /// The connections of an account that there are, by all servers that answer; takes the credential of
    /// the system account.
    ///
    /// # Errors
    /// The connection is closed for good, or a server does not answer twice.
    pub async fn connections(
        &self,
        account: &str,
    ) -> Result<Vec<(ConnectionId, Requester)>, BusError> {
        let inbox = self.client.new_inbox();
        let mut answers = self.subscribe(inbox.clone(), None).await?;
        let (all, begin) = ("$SYS.REQ.SERVER.PING.CONNZ", page(account, 0));
        let asked = self.client.publish_with_reply(all, inbox, begin).await;
        asked.map_err(BusError::request)?;
        let mut found = Vec::new();
        // How many servers there are nobody knows.
        while let Ok(Some(answer)) = timeout(GATHER, answers.next()).await {
            let Ok(mut answer) = serde_json::from_slice::<Listed>(&answer.payload) else {
                continue;
            };
            let mut listed = 0;
            loop {
                let Listed { server, data } = answer;
                listed += data.connections.len();
                found.extend(data.connections.into_iter().map(|it| it.by(&server, account)));
                if listed >= data.total || data.limit == 0 {
                    break;
                }
                let subject = format!("$SYS.REQ.SERVER.{}.CONNZ", server.id);
                let next = page(account, listed);
                let next = self.request(subject, HeaderMap::new(), next, KICK_TIMEOUT).await?;
                match serde_json::from_slice::<Listed>(&next) {
                    Ok(next) if !next.data.connections.is_empty() => answer = next,
                    Ok(_) | Err(_) => break,
                }
            }
        }
        Ok(found)
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

/// A question for connections of an account, but for so many.
fn page(account: &str, offset: usize) -> Bytes {
    let question = json!({ "acc": account, "auth": true, "limit": PAGE, "offset": offset });
    question.to_string().into()
}

#[derive(Deserialize)]
struct Listed {
    server: Server,
    data: Connections,
}

#[derive(Deserialize)]
struct Connections {
    total: usize,
    limit: usize,
    #[serde(default)]
    connections: Vec<Connection>,
}

#[derive(Deserialize)]
struct Connection {
    cid: u64,
    #[serde(default)]
    ip: String,
    #[serde(default)]
    authorized_user: String,
}

impl Connection {
    fn by(self, server: &Server, account: &str) -> (ConnectionId, Requester) {
        let Self { cid, ip, authorized_user } = self;
        let id = ConnectionId { server: server.id.clone(), number: cid };
        (id, Requester::new(account, ip, &authorized_user))
    }
}

#[derive(Deserialize)]
struct Server {
    id: String,
}

#[derive(Deserialize)]
struct Client {
    id: u64,
}
