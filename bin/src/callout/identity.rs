//! Who a client is: the one place that decides it.

use std::time::Duration;

use echolog_commands::auth::{Ask, Right};
use echolog_events::{TokenHash, Uuid};
use echolog_nats::{Offered, Requester};
use hmac::{Hmac, Mac};
use sha2::Sha256;

use crate::tokens::{ApiKey, Session};

/// The name under which a client connects that has no account.
const ANONYMOUS: &str = "anon";

/// The shortest secret that an anonymous client may have.
const SECRET: usize = 32;

/// How long a connection lasts before it has to show again who it is.
pub(super) const LIFETIME: Duration = Duration::from_secs(60 * 60);

/// What a client shows, by its shape.
enum Credential<'a> {
    /// The secret that an anonymous client made for itself and keeps.
    Anonymous(&'a str),
    /// The token of a session.
    Session(Session),
    /// An API key.
    ApiKey(ApiKey),
}

impl<'a> Credential<'a> {
    /// Exactly one kind, or none.
    fn of(offered: &'a Offered) -> Option<Self> {
        let Offered { user, pass, auth_token } = offered;
        match (user.as_str(), pass.as_str(), auth_token.as_str()) {
            (ANONYMOUS, secret, "") if secret.len() >= SECRET => Some(Self::Anonymous(secret)),
            ("", "", token) => (Session::read(token).map(Self::Session))
                .or_else(|| ApiKey::read(token).map(Self::ApiKey)),
            _ => None,
        }
    }
}

/// Whom a connection speaks for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Identity {
    /// The actor of everything that comes from it.
    pub(super) actor: String,
    /// What it stands for: what ends, ends the connection.
    pub(super) tags: Vec<String>,
    /// What the owner of the account has to be asked, if there is an account.
    pub(super) ask: Option<Ask>,
}

/// Who this claims to be; nobody if it is not even of the right shape. Of an account it is only
/// true once its owner has said so.
pub(super) fn claimed(tenant: &str, offered: &Offered) -> Option<Identity> {
    match Credential::of(offered)? {
        Credential::Anonymous(secret) => Some(Identity {
            actor: anonymous(tenant, secret)?,
            tags: vec!["anonymous".to_owned()],
            ask: None,
        }),
        Credential::Session(Session { user, session, hash }) => {
            Some(user_with(user, Right::Session(session), hash))
        }
        Credential::ApiKey(ApiKey { user, key, hash }) => {
            Some(user_with(user, Right::ApiKey(key), hash))
        }
    }
}

fn user_with(user: Uuid, right: Right, hash: TokenHash) -> Identity {
    let ask = Some(Ask { user_id: user, right, shown: Some(hash) });
    Identity { actor: user.to_string(), tags: vec![tag(right)], ask }
}

/// Whom the broker knows by such a name, which is what the callout once said.
pub(super) fn known(requester: Requester) -> Identity {
    let Requester { actor, tags, .. } = requester;
    let right = tags.iter().find_map(|tag| right(tag));
    let ask = Uuid::try_parse(&actor).ok().zip(right);
    let ask = ask.map(|(user_id, right)| Ask { user_id, right, shown: None });
    Identity { actor, tags, ask }
}

const SESSION: &str = "session:";
const API_KEY: &str = "api_key:";

/// The name of a right among what connections stand for.
pub(super) fn tag(right: Right) -> String {
    match right {
        Right::Session(id) => format!("{SESSION}{id}"),
        Right::ApiKey(id) => format!("{API_KEY}{id}"),
    }
}

/// The session that such a name is of.
#[must_use]
pub(crate) fn session_of(tag: &str) -> Option<Uuid> {
    match right(tag)? {
        Right::Session(id) => Some(id),
        Right::ApiKey(_) => None,
    }
}

/// The right of such a name.
fn right(tag: &str) -> Option<Right> {
    let id = |kind| tag.strip_prefix(kind).and_then(|id| Uuid::try_parse(id).ok());
    id(SESSION).map(Right::Session).or_else(|| id(API_KEY).map(Right::ApiKey))
}

/// The actor of an anonymous client. The client computes it as well: it has to know its own subjects
/// before it can ask anything. Whoever knows the actor does not know the secret.
#[must_use]
pub fn anonymous(tenant: &str, secret: &str) -> Option<String> {
    let mut actor = Hmac::<Sha256>::new_from_slice(secret.as_bytes()).ok()?;
    actor.update(format!("echolog anonymous {tenant}").as_bytes());
    let actor = actor.finalize().into_bytes();
    let hex: String = actor[..16].iter().map(|byte| format!("{byte:02x}")).collect();
    Some(format!("anon-{hex}"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tokens::Tokens;

    const SECRET: &str = "0123456789abcdef0123456789abcdef";

    fn who(user: &str, pass: &str, auth_token: &str) -> Option<Identity> {
        let [user, pass, auth_token] = [user, pass, auth_token].map(str::to_owned);
        claimed("main", &Offered { user, pass, auth_token })
    }

    /// What docs/clients.md tells clients to compute.
    #[test]
    fn an_anonymous_actor_follows_from_its_secret() {
        let known = who("anon", SECRET, "").expect("a good secret").actor;
        assert_eq!(known, "anon-598cadcaa88d6040d3d799fcae81ab21");
        let other = claimed(
            "other",
            &Offered { user: "anon".into(), pass: SECRET.into(), auth_token: String::new() },
        );
        assert_ne!(other.expect("a good secret").actor, known);
        assert_ne!(who("anon", &SECRET.replace('0', "1"), "").expect("a good secret").actor, known);
    }

    #[test]
    fn a_session_token_says_whom_to_ask() {
        let (user, session) = (Uuid::from_u128(1), Uuid::from_u128(2));
        let tokens = Tokens::new(b"key", user, session, 0);
        let claimed = who("", "", &tokens.session).expect("the right shape");
        assert_eq!(
            (claimed.actor, claimed.tags),
            (user.to_string(), vec![tag(Right::Session(session))])
        );
        assert_eq!(session_of(&tag(Right::Session(session))), Some(session));
        assert_eq!(session_of(&tag(Right::ApiKey(session))), None);
        let ask = claimed.ask.expect("an account");
        assert_eq!(ask.shown, Some(tokens.hashes.token_hash));
        // Together with anything else it is nothing.
        assert_eq!(who("anon", SECRET, &tokens.session), None);
        assert_eq!(who(&user.to_string(), "", &tokens.session), None);
        assert_eq!(who("", "", &tokens.refresh), None);
    }

    #[test]
    fn what_was_said_of_somebody_is_known_again() {
        let user = Uuid::from_u128(1);
        for right in [Right::Session(Uuid::from_u128(2)), Right::ApiKey(Uuid::from_u128(3))] {
            let tags = vec![tag(right)];
            let host = "127.0.0.1".to_owned();
            let account = "USERS".to_owned();
            let known = known(Requester { account, host, actor: user.to_string(), tags });
            assert_eq!(known.ask, Some(Ask { user_id: user, right, shown: None }));
        }
    }

    #[test]
    fn whatever_is_not_exactly_one_credential_is_nobody() {
        let long = "x".repeat(40);
        for (user, pass, token) in [
            ("", "", ""),
            ("anon", "", ""),
            ("anon", &SECRET[1..], ""),
            ("anon", SECRET, "es_token"),
            ("Anon", SECRET, ""),
            ("anon ", SECRET, ""),
            ("echolog", SECRET, ""),
            ("callout", SECRET, ""),
            ("svc-shop", SECRET, ""),
            ("0192f3c4-aaaa-7bbb-8ccc-000000000001", SECRET, ""),
            ("", SECRET, ""),
            ("", "", SECRET),
            ("", "", &format!("es_{long}")),
            ("", "", &format!("ek_{long}")),
            ("anon", &format!("es_{long}"), &format!("es_{long}")),
        ] {
            assert_eq!(who(user, pass, token), None, "{user} {pass} {token}");
        }
    }
}
