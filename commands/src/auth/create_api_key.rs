use std::collections::BTreeSet;

use chrono::TimeDelta;
use echolog_events::{
    AccountStatus, ApiKeyCreated, ApiKeyRevoked, CredentialEvent, Event, Scope, Stream, Time, Uuid,
};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::{Authority, authority, made_just_now, need_authority, proof};
use crate::doc::{Doc, optional, required};
use crate::fields::{Id, OneTimeCode, Password, SentCode, Text, Token};
use crate::state::ApiKeys;
use crate::{Context, Decide, Decision, Needs, NewEvent, Rejection, World, access};

/// How many keys a user has at most.
const MAX_KEYS: usize = 50;

/// How long a key lasts at most that ends by itself.
const LONGEST: TimeDelta = TimeDelta::days(3660);

/// Makes an API key.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CreateApiKey {
    /// Its id.
    pub api_key_id: Id,
    /// What its owner calls it.
    pub name: Text<1, 100>,
    /// What it is good for.
    pub scopes: BTreeSet<Scope>,
    /// When it ends; left out: when it is revoked.
    pub expires_at: Option<Time>,
    /// Never leaves the request path.
    #[serde(skip_serializing)]
    pub password: Option<Password>,
    /// Never leaves the request path.
    #[serde(skip_serializing)]
    pub totp: Option<OneTimeCode>,
    /// Never leaves the request path.
    #[serde(skip_serializing)]
    pub recovery_code: Option<Token>,
    /// Never leaves the request path.
    #[serde(skip_serializing)]
    pub otp: Option<SentCode>,
}

impl Decide for CreateApiKey {
    const STREAM: Stream = Stream::Credential;
    const DOC: Doc = Doc {
        summary: "Makes an API key, with which a program connects as the user. The outcome's `data` has `api_key`, which is told once, `api_key_id`, `key_prefix`, `scopes` and `expires_at`. A key is good for commands of its scopes, never for those of `auth`.",
        target: "your own user id; another's for services",
        fields: &[
            required("api_key_id", "UUIDv7 that the client has just made"),
            required("name", "text, 1 to 100 characters"),
            required(
                "scopes",
                "list of `messages` and `users`, at least one: whose commands it may send",
            ),
            optional(
                "expires_at",
                "time, at most ten years ahead; left out: it lasts until it is revoked",
            ),
            optional(
                "password",
                "text, 8 to 256 bytes; **a secret**; needed, but not from services",
            ),
            optional(
                "totp",
                "text of six digits: what the authenticator shows; **a secret**; needed, or `recovery_code`, where two factors are in use",
            ),
            optional("recovery_code", "text: one of the recovery codes; **a secret**"),
            optional(
                "otp",
                "map of `otp_id` and `code`: one that was sent for `2fa`, where that is the second factor or there is no password; **a secret**",
            ),
        ],
        events: &[
            "api_key_revoked",
            "totp_used",
            "recovery_code_used",
            "otp_verified",
            "otp_attempt_failed",
            "api_key_created",
            "login_failed",
            "user_locked",
        ],
        refused: &[
            ("unauthenticated", "what proves it is not right, or too many attempts failed before"),
            ("forbidden", "the target is another user, or the account may not act"),
            ("not_found", "there is no such user"),
            ("conflict", "there was a key with this id already, or there are 50"),
        ],
        example: r#"{"api_key_id":"0192f3c4-aaaa-7bbb-8ccc-000000000006","name":"the build server","scopes":["messages"],"expires_at":"2027-01-01T00:00:00Z","password":"correct horse battery","totp":"287082","recovery_code":"abcde-23456","otp":{"otp_id":"0192f3c4-aaaa-7bbb-8ccc-000000000007","code":"123456"}}"#,
    };

    fn needs(&self, context: &Context<'_>, _: &World, needs: &mut Needs) {
        need_authority(context, needs);
        proof::need(context, needs);
    }

    fn decide(&self, context: &Context<'_>, world: &World) -> Decision {
        // A key outlasts the session that it is made in.
        let used = match authority(context, world)? {
            Authority::Own => {
                access::active_user(context, world)?;
                proof::check(context, world)?
            }
            Authority::Service => None,
            // It would let an administrator be another user.
            Authority::Admin(_) => return Err(Rejection::forbidden("This is another user's.")),
        };
        let user_id = context.target;
        let user = world.user(user_id);
        let user = user.ok_or_else(|| Rejection::not_found("There is no such user."))?;
        if user.status != AccountStatus::Active {
            return Err(Rejection::forbidden("The account may not act."));
        }
        let Some(new) = &context.findings.api_key else {
            return Err(Rejection::internal("The key got lost."));
        };
        let api_key_id = self.api_key_id.get();
        self.check(context)?;
        let keys = &world.credentials(user_id).api_keys;
        let over = making_room(context, keys, api_key_id)?;
        let created = CredentialEvent::ApiKeyCreated(ApiKeyCreated {
            user_id,
            api_key_id,
            name: self.name.as_str().to_owned(),
            key_prefix: new.key_prefix.clone(),
            key_hash: new.key_hash.clone(),
            scopes: self.scopes.iter().copied().collect(),
            expires_at: self.expires_at,
        });
        let events = over.into_iter().chain([created]).map(NewEvent::from);
        Ok(proof::along(used, events.collect()))
    }

    fn data(&self, events: &[&Event]) -> Option<Value> {
        events.iter().find_map(|event| {
            let Event::Credentials(CredentialEvent::ApiKeyCreated(e)) = event else { return None };
            Some(json!({
                "api_key_id": e.api_key_id, "key_prefix": e.key_prefix, "scopes": e.scopes,
                "expires_at": e.expires_at,
            }))
        })
    }
}

impl CreateApiKey {
    fn check(&self, context: &Context<'_>) -> Result<(), Rejection> {
        if !made_just_now(context, self.api_key_id.get()) {
            return Err(Rejection::invalid(
                "api_key_id",
                "The id of a new key is a UUIDv7 that was made within the last five minutes.",
            ));
        }
        if self.scopes.is_empty() {
            return Err(Rejection::invalid("scopes", "A key without a scope is good for nothing."));
        }
        let ahead = self.expires_at.map(|expires_at| expires_at - context.time);
        if ahead.is_some_and(|ahead| ahead <= TimeDelta::zero() || ahead > LONGEST) {
            return Err(Rejection::invalid(
                "expires_at",
                "A key ends in the future, and within ten years.",
            ));
        }
        Ok(())
    }
}

/// The keys that go as a new one comes: those whose time is over, where it is tight.
fn making_room(
    context: &Context<'_>,
    keys: &ApiKeys,
    new: Uuid,
) -> Result<Vec<CredentialEvent>, Rejection> {
    if keys.open.contains_key(&new) || keys.ended.contains(&new) {
        return Err(Rejection::conflict("There was a key with this id already."));
    }
    if keys.is_worn(context.time) {
        return Err(Rejection::rate_limited("Too many keys were made and revoked just now."));
    }
    if keys.open.len() < MAX_KEYS {
        return Ok(Vec::new());
    }
    let user_id = context.target;
    let over = keys.open.iter().filter(|(_, key)| !key.is_live(context.time));
    let over: Vec<CredentialEvent> = over
        .map(|(id, _)| ApiKeyRevoked { user_id, api_key_id: *id, by_user_id: None })
        .map(CredentialEvent::ApiKeyRevoked)
        .collect();
    if over.is_empty() {
        return Err(Rejection::conflict("You have 50 keys; revoke one first."));
    }
    Ok(over)
}

#[cfg(test)]
pub(super) mod tests {
    use echolog_events::TokenHash;

    use super::super::{Check, Findings, NewKey};
    use super::*;
    use crate::story::{Story, id};
    use crate::{Actor, ErrorCode};

    pub(in crate::auth) fn create(number: u16) -> CreateApiKey {
        let body = json!({ "api_key_id": id(number), "name": "a server", "scopes": ["messages"] });
        serde_json::from_value(body).expect("a good body")
    }

    fn found(number: u16) -> Findings {
        let key_hash = TokenHash::new(format!("key {number}"));
        let api_key = Some(NewKey { key_hash, key_prefix: "ek_prefix".to_owned() });
        Findings { api_key, password: Some(Check::Right), ..Findings::default() }
    }

    /// User 1 has these keys.
    pub(in crate::auth) fn with_keys(story: Story, numbers: std::ops::Range<u16>) -> Story {
        numbers.fold(story, |story, number| {
            story.findings(found(number)).done(&Actor::User(id(1)), id(1), create(number))
        })
    }

    fn created(number: u16) -> CredentialEvent {
        CredentialEvent::ApiKeyCreated(ApiKeyCreated {
            user_id: id(1),
            api_key_id: id(number),
            name: "a server".to_owned(),
            key_prefix: "ek_prefix".to_owned(),
            key_hash: TokenHash::new(format!("key {number}")),
            scopes: vec![Scope::Messages],
            expires_at: None,
        })
    }

    #[test]
    fn a_key_is_made_for_oneself() {
        let story = Story::new().users([id(1), id(2)]).findings(found(600));
        story.when(id(1), id(1), create(600)).then([Event::Credentials(created(600))]);
        story.when(id(2), id(1), create(600)).refused(ErrorCode::Forbidden);
        let operator = Actor::Service("svc-operator".to_owned());
        story.when_actor(&operator, id(1), create(600)).then([Event::Credentials(created(600))]);
        story.when_actor(&operator, id(9), create(600)).refused(ErrorCode::NotFound);
        let none = CreateApiKey { scopes: BTreeSet::new(), ..create(600) };
        story.when(id(1), id(1), none).refused(ErrorCode::Invalid);
        for ahead in [TimeDelta::zero(), TimeDelta::days(4000)] {
            let expires_at = Some(Time::default() + ahead);
            let wrong = CreateApiKey { expires_at, ..create(600) };
            story.when(id(1), id(1), wrong).refused(ErrorCode::Invalid);
        }
        let later = story.at(Time::default() + TimeDelta::minutes(6));
        later.when(id(1), id(1), create(600)).refused(ErrorCode::Invalid);
    }

    #[test]
    fn a_session_alone_makes_none() {
        let story = || Story::new().users([id(1)]);
        let with = |password| Findings { password, ..found(600) };
        story().findings(with(None)).when(id(1), id(1), create(600)).refused(ErrorCode::Invalid);
        let wrong = story().findings(with(Some(Check::Wrong)));
        let no = wrong.when(id(1), id(1), create(600)).refused(ErrorCode::Unauthenticated);
        assert_eq!(no.events.len(), 1, "it counts");
    }

    #[test]
    fn an_id_is_used_once() {
        let story = with_keys(Story::new().users([id(1)]), 600..602);
        story.when(id(1), id(1), create(600)).refused(ErrorCode::Conflict);
        let revoke = super::super::RevokeApiKey { api_key_id: id(600).into() };
        let story = story.done(&Actor::User(id(1)), id(1), revoke);
        story.when(id(1), id(1), create(600)).refused(ErrorCode::Conflict);
    }

    #[test]
    fn there_are_fifty_at_most_and_those_that_are_over_make_room() {
        let ada = Actor::User(id(1));
        let expires_at = Some(Time::default() + TimeDelta::minutes(1));
        let short = CreateApiKey { expires_at, ..create(599) };
        let story = Story::new().users([id(1)]).findings(found(599)).done(&ada, id(1), short);
        let story = (600..649).fold(story, |story, number| {
            story.findings(found(number)).done(&ada, id(1), create(number))
        });
        let story = story.findings(found(700));
        story.when(id(1), id(1), create(700)).refused(ErrorCode::Conflict);
        let story = story.at(Time::default() + TimeDelta::minutes(2));
        let (user_id, api_key_id) = (id(1), id(599));
        let over = ApiKeyRevoked { user_id, api_key_id, by_user_id: None };
        story.when(id(1), id(1), create(700)).then([
            Event::Credentials(CredentialEvent::ApiKeyRevoked(over)),
            Event::Credentials(created(700)),
        ]);
    }
}
