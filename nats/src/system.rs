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
        let mut silent = true;
        // How many servers there are nobody knows.
        while let Ok(Some(answer)) = timeout(GATHER, answers.next()).await {
            let Ok(Listed { server, data }) = serde_json::from_slice(&answer.payload) else {
                continue;
            };
            silent = false;
            let (mut listing, mut connections) = (Listing::default(), data.connections);
            while let Some(offset) = listing.take(connections) {
                let subject = format!("$SYS.REQ.SERVER.{}.CONNZ", server.id);
                let next = page(account, offset);
                let next = self.request(subject, HeaderMap::new(), next, KICK_TIMEOUT).await?;
                let next: Listed = serde_json::from_slice(&next).map_err(BusError::request)?;
                connections = next.data.connections;
            }
            found.extend(listing.listed.into_iter().map(|it| it.by(&server, account)));
        }
        if silent { Err(BusError::request("no server says who is connected")) } else { Ok(found) }
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
    let question = json!({
        "acc": account, "auth": true, "sort": "cid", "limit": PAGE, "offset": offset,
    });
    question.to_string().into()
}

#[derive(Deserialize)]
struct Listed {
    server: Server,
    data: Connections,
}

#[derive(Deserialize)]
struct Connections {
    #[serde(default)]
    connections: Vec<Connection>,
}

/// The connections of a server, page by page, by their numbers. Those that end meanwhile let others move
/// up: so each page has to begin with what the one before ended with, or one further ahead is asked for.
#[derive(Default)]
struct Listing {
    listed: Vec<Connection>,
    /// Where the last page began.
    offset: usize,
}

impl Listing {
    /// Takes in a page; returns where the next one begins, if there is one.
    fn take(&mut self, page: Vec<Connection>) -> Option<usize> {
        let last = self.listed.last().map_or(0, |it| it.cid);
        let joins = page.first().is_some_and(|it| it.cid <= last);
        if self.offset > 0 && !joins {
            self.offset = self.offset.saturating_sub(PAGE);
            return Some(self.offset);
        }
        let ends = page.len() < PAGE;
        self.listed.extend(page.into_iter().filter(|it| it.cid > last));
        self.offset += PAGE - 1;
        (!ends).then_some(self.offset)
    }
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn whoever_stays_is_listed_whoever_goes_meanwhile() {
        for gone in [0, 1, 150, 199, 200, 450, 900, 1_000] {
            let mut there: Vec<u64> = (1..=1_000).collect();
            let (mut listing, mut offset) = (Listing::default(), Some(0));
            while let Some(from) = offset {
                let page = there.iter().skip(from).take(PAGE).map(|cid| Connection {
                    cid: *cid,
                    ip: String::new(),
                    authorized_user: String::new(),
                });
                offset = listing.take(page.collect());
                // The eldest go, all at once, after the first page.
                there.retain(|cid| *cid > gone);
            }
            let listed: Vec<u64> = listing.listed.iter().map(|it| it.cid).collect();
            assert!(listed.is_sorted(), "{gone}");
            assert!(there.iter().all(|cid| listed.contains(cid)), "{gone}: {}", listed.len());
        }
    }
}
