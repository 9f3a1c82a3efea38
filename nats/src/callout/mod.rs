//! The protocol of nats-server's auth callout: it asks on a subject who wants to connect, and gets
//! signed permissions or a refusal. Both are sealed, since they hold what a client shows.

mod jwt;

use bytes::Bytes;
use echolog_events::Time;
use nkeys::{KeyPair, XKey};
use serde::{Deserialize, Serialize};

use crate::request::user_name;
use crate::{Incoming, Names};
use jwt::Claims;

/// Where nats-server asks.
pub const CALLOUT: &str = "$SYS.REQ.USER.AUTH";

/// The account that end users are let into.
pub const USERS: &str = "USERS";

/// What a request of nats-server is for.
const AUDIENCE: &str = "nats-authorization-request";

/// With which key a server seals.
const SERVER_XKEY: &str = "Nats-Server-Xkey";

/// Subscriptions of one connection. There are three things to hear.
const SUBSCRIPTIONS: i64 = 32;

/// Bytes of one message: a body of 64 KiB and its headers.
const PAYLOAD: i64 = 128 * 1024;

/// Why a request cannot be answered.
#[derive(Debug, thiserror::Error)]
pub enum CalloutError {
    /// A key that is none.
    #[error("{0} is no seed of an nkey: `echolog accounts` makes one")]
    BadSeed(&'static str),
    /// Something that no nats-server with our key sends.
    #[error("the request cannot be read: {0}")]
    Unreadable(String),
}

impl CalloutError {
    fn unreadable(reason: impl std::fmt::Display) -> Self {
        Self::Unreadable(reason.to_string())
    }
}

/// New seeds of both keys: what answers are signed with, and what they are sealed with.
///
/// # Errors
/// Never; the library cannot say so.
pub fn new_seeds() -> Result<[String; 2], CalloutError> {
    let issuer = KeyPair::new_account().seed().map_err(CalloutError::unreadable)?;
    let xkey = XKey::new().seed().map_err(CalloutError::unreadable)?;
    Ok([issuer, xkey])
}

/// What the callout signs and seals with.
pub struct CalloutKeys {
    issuer: KeyPair,
    xkey: XKey,
}

impl std::fmt::Debug for CalloutKeys {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("CalloutKeys").finish_non_exhaustive()
    }
}

impl CalloutKeys {
    /// The keys of these seeds.
    ///
    /// # Errors
    /// One is none.
    pub fn from_seeds(issuer: &str, xkey: &str) -> Result<Self, CalloutError> {
        let bad = CalloutError::BadSeed;
        Ok(Self {
            issuer: KeyPair::from_seed(issuer).map_err(|_| bad("the issuer"))?,
            xkey: XKey::from_seed(xkey).map_err(|_| bad("the xkey"))?,
        })
    }

    /// The public key that nats-server trusts.
    #[must_use]
    pub fn issuer(&self) -> String {
        self.issuer.public_key()
    }

    /// The public key that nats-server seals for.
    #[must_use]
    pub fn xkey(&self) -> String {
        self.xkey.public_key()
    }

    /// Reads a request. One that is not sealed is none of ours.
    ///
    /// # Errors
    /// It is not from a nats-server that knows our key.
    pub fn open(&self, incoming: &Incoming) -> Result<ConnectRequest, CalloutError> {
        let server_xkey = incoming.headers.get(SERVER_XKEY);
        let server_xkey = server_xkey.ok_or_else(|| CalloutError::unreadable("not sealed"))?;
        let server_xkey = XKey::from_public_key(server_xkey).map_err(CalloutError::unreadable)?;
        let opened = self.xkey.open(&incoming.body, &server_xkey);
        let opened = opened.map_err(CalloutError::unreadable)?;
        let token = String::from_utf8(opened).map_err(|_| CalloutError::unreadable("no text"))?;
        let claims = Claims::<Asked>::verify(&token)?;
        if claims.iss != claims.nats.server_id.id || claims.aud != AUDIENCE {
            return Err(CalloutError::unreadable("not from a server, or not for us"));
        }
        let time = Time::from_timestamp(claims.iat, 0);
        let time = time.ok_or_else(|| CalloutError::unreadable("no time"))?;
        let Asked { server_id, user_nkey, client_info, connect_opts } = claims.nats;
        Ok(ConnectRequest {
            server: server_id.id,
            connection: client_info.id,
            address: client_info.host,
            offered: connect_opts,
            time,
            user_nkey,
            server_xkey,
        })
    }

    /// The answer that lets a client in.
    ///
    /// # Errors
    /// It cannot be signed or sealed.
    pub fn admit(
        &self,
        request: &ConnectRequest,
        grant: &Grant<'_>,
    ) -> Result<Bytes, CalloutError> {
        let Grant { names, actor, domains, tags, expires } = grant;
        let (publish, hear) = match domains {
            None => (names.publishable(actor), names.audible(actor)),
            Some(domains) => {
                (names.publishable_in(actor, domains), names.audible_in(actor, domains))
            }
        };
        let user = Claims {
            jti: request.user_nkey.clone(),
            iss: self.issuer.public_key(),
            sub: request.user_nkey.clone(),
            aud: USERS.to_owned(),
            name: user_name(actor, tags),
            iat: request.time.timestamp(),
            exp: Some(*expires),
            nats: User {
                r#type: "user",
                version: 2,
                r#pub: Allowed { allow: publish },
                sub: Allowed { allow: hear },
                subs: SUBSCRIPTIONS,
                data: -1,
                payload: PAYLOAD,
                allowed_connection_types: ["STANDARD", "WEBSOCKET"],
                tags,
            },
        };
        let user = user.sign(&self.issuer)?;
        self.answer(request, Answer { jwt: Some(user), ..Answer::new() })
    }

    /// The answer that lets nobody in. It says nothing of the reason.
    ///
    /// # Errors
    /// It cannot be signed or sealed.
    pub fn refuse(&self, request: &ConnectRequest) -> Result<Bytes, CalloutError> {
        self.answer(request, Answer { error: Some("not admitted"), ..Answer::new() })
    }

    fn answer(&self, request: &ConnectRequest, answer: Answer) -> Result<Bytes, CalloutError> {
        let answer = Claims {
            jti: request.user_nkey.clone(),
            iss: self.issuer.public_key(),
            sub: request.user_nkey.clone(),
            aud: request.server.clone(),
            name: String::new(),
            iat: request.time.timestamp(),
            exp: None,
            nats: answer,
        };
        let answer = answer.sign(&self.issuer)?;
        let sealed = self.xkey.seal(answer.as_bytes(), &request.server_xkey);
        Ok(sealed.map_err(CalloutError::unreadable)?.into())
    }
}

/// What a client is allowed.
#[derive(Debug)]
pub struct Grant<'a> {
    /// In which tenant.
    pub names: &'a Names,
    /// Whom it speaks for, and for nobody else.
    pub actor: &'a str,
    /// Whose commands it may send; `None`: those of all domains.
    pub domains: Option<&'a [&'a str]>,
    /// What it stands for, such as `session:…`; without a slash.
    pub tags: &'a [String],
    /// When the server ends the connection, in seconds since 1970.
    pub expires: i64,
}

/// Somebody who wants to connect.
pub struct ConnectRequest {
    /// The id of the server that asks.
    pub server: String,
    /// The number of the connection at that server.
    pub connection: u64,
    /// The client's IP address.
    pub address: String,
    /// What the client shows.
    pub offered: Offered,
    /// When the server asks, by its own clock.
    pub time: Time,
    user_nkey: String,
    server_xkey: XKey,
}

/// Nothing of what the client shows.
impl std::fmt::Debug for ConnectRequest {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "connection {} of server {}", self.connection, self.server)
    }
}

/// What a client shows; the empty text where it shows nothing.
#[derive(Default, Deserialize)]
#[serde(default)]
pub struct Offered {
    /// A user's name.
    pub user: String,
    /// The password.
    pub pass: String,
    /// A token.
    pub auth_token: String,
}

impl std::fmt::Debug for Offered {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Offered").finish_non_exhaustive()
    }
}

#[derive(Deserialize)]
struct Asked {
    server_id: ServerId,
    user_nkey: String,
    client_info: ClientInfo,
    connect_opts: Offered,
}

#[derive(Deserialize)]
struct ServerId {
    id: String,
}

#[derive(Deserialize)]
struct ClientInfo {
    id: u64,
    #[serde(default)]
    host: String,
}

#[derive(Serialize)]
struct User<'a> {
    r#type: &'static str,
    version: u8,
    r#pub: Allowed,
    sub: Allowed,
    subs: i64,
    data: i64,
    payload: i64,
    allowed_connection_types: [&'static str; 2],
    tags: &'a [String],
}

#[derive(Serialize)]
struct Allowed {
    allow: Vec<String>,
}

#[derive(Serialize)]
struct Answer {
    r#type: &'static str,
    version: u8,
    #[serde(skip_serializing_if = "Option::is_none")]
    jwt: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    error: Option<&'static str>,
}

impl Answer {
    fn new() -> Self {
        Self { r#type: "authorization_response", version: 2, jwt: None, error: None }
    }
}

#[cfg(test)]
mod tests {
    use async_nats::HeaderMap;
    use serde_json::{Value, json};

    use super::*;
    use crate::IncomingHeaders;

    /// A nats-server, as far as it asks.
    struct Server {
        key: KeyPair,
        xkey: XKey,
    }

    impl Server {
        fn new() -> Self {
            Self { key: KeyPair::new_server(), xkey: XKey::new() }
        }

        /// What it asks: as whom, and for whom it seals that.
        fn ask(&self, id: &str, audience: &str, callout: &CalloutKeys) -> Incoming {
            let asked = Claims {
                jti: String::new(),
                iss: self.key.public_key(),
                sub: String::new(),
                aud: audience.to_owned(),
                name: String::new(),
                iat: 1,
                exp: None,
                nats: json!({
                    "server_id": { "id": id, "name": "n1" },
                    "user_nkey": "UNKEY",
                    "client_info": { "id": 7, "host": "192.0.2.1", "kind": "Client" },
                    "connect_opts": { "user": "anon", "pass": "secret", "protocol": 1 },
                }),
            };
            let asked = asked.sign(&self.key).expect("a key with a seed");
            let recipient = XKey::from_public_key(&callout.xkey()).expect("a key");
            let body = self.xkey.seal(asked.as_bytes(), &recipient).expect("a key with a seed");
            let mut headers = HeaderMap::new();
            headers.insert(SERVER_XKEY, self.xkey.public_key());
            Incoming {
                subject: CALLOUT.to_owned(),
                reply: Some("reply".to_owned()),
                headers: IncomingHeaders::new(Some(headers)),
                body: body.into(),
            }
        }

        /// What it reads in an answer.
        fn hear(&self, answer: &Bytes, callout: &CalloutKeys) -> Claims<Value> {
            let sender = XKey::from_public_key(&callout.xkey()).expect("a key");
            let opened = self.xkey.open(answer, &sender).expect("sealed for us");
            let answer = Claims::verify(&String::from_utf8(opened).expect("text"));
            let answer: Claims<Value> = answer.expect("signed");
            assert_eq!(answer.iss, callout.issuer());
            assert_eq!((answer.sub.as_str(), answer.aud), ("UNKEY", self.key.public_key()));
            Claims { aud: String::new(), ..answer }
        }
    }

    fn keys() -> CalloutKeys {
        let [issuer, xkey] = new_seeds().expect("randomness");
        CalloutKeys::from_seeds(&issuer, &xkey).expect("seeds")
    }

    #[test]
    fn whoever_is_let_in_may_use_the_subjects_of_one_actor() {
        let (server, keys) = (Server::new(), keys());
        let request = keys.open(&server.ask(&server.key.public_key(), AUDIENCE, &keys));
        let request = request.expect("a good request");
        assert_eq!((request.connection, request.address.as_str()), (7, "192.0.2.1"));
        assert_eq!(request.offered.pass, "secret");
        assert!(!format!("{request:?} {:?}", request.offered).contains("secret"));

        let names = Names::new("main").expect("a good name");
        let tags = ["session:1".to_owned()];
        let grant =
            Grant { names: &names, actor: "anon-1", domains: None, tags: &tags, expires: 3601 };
        let answer = server.hear(&keys.admit(&request, &grant).expect("keys"), &keys);
        let user = answer.nats["jwt"].as_str().expect("a permission");
        let user = Claims::<Value>::verify(user).expect("signed");
        assert_eq!((user.iss, user.sub.as_str()), (keys.issuer(), "UNKEY"));
        assert_eq!((user.aud.as_str(), user.exp), ("USERS", Some(3601)));
        assert_eq!(user.name, "anon-1/session:1");
        assert_eq!(
            user.nats,
            json!({
                "type": "user",
                "version": 2,
                "pub": { "allow": ["cmd.main.anon-1.>", "req.main.anon-1.>", "qry.main.anon-1.>"] },
                "sub": { "allow": ["out.main.anon-1.>", "live.main.anon-1.>", "_INBOX_anon-1.>"] },
                "subs": 32,
                "data": -1,
                "payload": 131_072,
                "allowed_connection_types": ["STANDARD", "WEBSOCKET"],
                "tags": ["session:1"],
            })
        );

        let grant = Grant { domains: Some(&["users"]), ..grant };
        let answer = server.hear(&keys.admit(&request, &grant).expect("keys"), &keys);
        let user = answer.nats["jwt"].as_str().expect("a permission");
        let user = Claims::<Value>::verify(user).expect("signed").nats;
        let allowed = ["cmd", "req", "qry"].map(|kind| format!("{kind}.main.anon-1.users.>"));
        assert_eq!(user["pub"], json!({ "allow": allowed }));
        let heard = [
            "out.main.anon-1.>",
            "_INBOX_anon-1.>",
            "live.main.anon-1.users",
            "live.main.anon-1.users.>",
        ];
        assert_eq!(user["sub"], json!({ "allow": heard }));

        let refused = server.hear(&keys.refuse(&request).expect("keys"), &keys).nats;
        assert_eq!((refused.get("jwt"), &refused["error"]), (None, &json!("not admitted")));
    }

    #[test]
    fn what_no_server_of_ours_asks_is_not_read() {
        let (server, keys) = (Server::new(), keys());
        let id = server.key.public_key();
        assert!(keys.open(&server.ask(&id, AUDIENCE, &keys)).is_ok());
        assert!(keys.open(&server.ask("another", AUDIENCE, &keys)).is_err());
        assert!(keys.open(&server.ask(&id, "another", &keys)).is_err());
        assert!(keys.open(&server.ask(&id, AUDIENCE, &self::keys())).is_err());
        let open =
            Incoming { headers: IncomingHeaders::default(), ..server.ask(&id, AUDIENCE, &keys) };
        assert!(keys.open(&open).is_err(), "it is not sealed");
    }
}
