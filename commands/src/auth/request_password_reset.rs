use chrono::TimeDelta;
use echolog_events::{CodeEvent, Event, PasswordResetRequested, Stream};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::{NameType, check_age, identifier};
use crate::doc::{Doc, optional, required};
use crate::fields::Text;
use crate::{Context, Decide, Decision, Key, Needs, Rejection, World};

/// How long the token is good.
const LIFETIME: TimeDelta = TimeDelta::hours(1);

/// Has a token sent that stands for a password which was lost.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RequestPasswordReset {
    /// Where it goes.
    pub identifier: Text<1, 255>,
    /// Whether that is an address or a number.
    pub identifier_type: Option<NameType>,
}

impl RequestPasswordReset {
    /// What kind of name it goes to.
    #[must_use]
    pub fn name_type(&self) -> NameType {
        self.identifier_type.unwrap_or_else(|| identifier::kind(self.identifier.as_str()))
    }

    /// Where it goes, as an account would have claimed it.
    ///
    /// # Errors
    /// `invalid`: no token can go there.
    pub fn canonical(&self) -> Result<String, Rejection> {
        let canonical = match self.name_type() {
            NameType::Username => None,
            kind @ (NameType::Email | NameType::Phone) => {
                identifier::canonical(self.identifier.as_str(), kind)
            }
        };
        canonical.ok_or_else(|| {
            let message = "This is neither an e-mail address nor a phone number.";
            Rejection::invalid("identifier", message)
        })
    }
}

impl Decide for RequestPasswordReset {
    const STREAM: Stream = Stream::Code;
    const DOC: Doc = Doc {
        summary: "Sends a token that is good for an hour, once, and stands for a password which was lost. The answer does not tell whether somebody has the address or number, nor whether something was sent. The outcome's `data` has `reset_id` and `expires_at`.",
        target: "the reset's id, a UUIDv7 that the client has just made",
        fields: &[
            required("identifier", "text, 1 to 255: an e-mail address or a phone number"),
            optional(
                "identifier_type",
                "`email` or `phone`; default: `email` with an `@` in it, else `phone`",
            ),
        ],
        events: &["password_reset_requested"],
        refused: &[
            ("conflict", "there was a code or a reset with this id already"),
            (
                "rate_limited",
                "one a minute, five an hour, ten a day for an address or number, codes included",
            ),
            ("unavailable", "the operator sends no e-mails, or no text messages"),
        ],
        example: r#"{"identifier":"ada@example.org","identifier_type":"email"}"#,
    };

    fn needs(&self, context: &Context<'_>, _: &World, needs: &mut Needs) {
        needs.want(Key::Codes(context.target));
    }

    fn decide(&self, context: &Context<'_>, world: &World) -> Decision {
        let Some(found) = &context.findings.new_reset else {
            return Err(Rejection::invalid("identifier", "An identifier is needed."));
        };
        self.canonical()?;
        check_age(context, found.reset_id)?;
        let codes = world.codes(context.target);
        if codes.was_used(found.reset_id) {
            return Err(Rejection::conflict("There was a reset with this id already."));
        }
        if codes.is_too_often(&found.identifier_hash, context.time) || codes.is_worn(context.time) {
            return Err(Rejection::rate_limited("Too much was asked for; wait a while."));
        }
        let requested = PasswordResetRequested {
            account_id: context.target,
            user_id: found.user_id,
            reset_id: found.reset_id,
            identifier_hash: found.identifier_hash.clone(),
            token_hash: found.hash.clone(),
            requested_at: context.time,
            expires_at: context.time + LIFETIME,
            replaces: codes.reset.as_ref().and_then(|reset| reset.good_id(context.time)),
            origin: context.findings.origin.clone(),
        };
        Ok(vec![CodeEvent::PasswordResetRequested(Box::new(requested)).into()])
    }

    fn data(&self, events: &[&Event]) -> Option<Value> {
        events.iter().find_map(|event| {
            let Event::Codes(CodeEvent::PasswordResetRequested(e)) = event else { return None };
            Some(json!({ "reset_id": e.reset_id, "expires_at": e.expires_at }))
        })
    }
}

#[cfg(test)]
pub(super) mod tests {
    use echolog_events::{Time, TokenHash};

    use super::super::request_otp::tests::SENT_TO;
    use super::*;
    use crate::auth::{Findings, NewReset};
    use crate::story::{Story, id};
    use crate::{Actor, ErrorCode};

    pub(in crate::auth) fn anyone() -> Actor {
        Actor::Anonymous("anon-1".to_owned())
    }

    pub(in crate::auth) fn request() -> RequestPasswordReset {
        serde_json::from_value(json!({ "identifier": "ada@example.org" })).expect("a good body")
    }

    /// A token that the stories know as this number.
    pub(in crate::auth) fn found(number: u16) -> Findings {
        let new_reset = NewReset {
            reset_id: id(800 + number),
            user_id: Some(id(1)),
            identifier_hash: SENT_TO.to_owned(),
            hash: TokenHash::new(format!("token {number}")),
        };
        Findings { new_reset: Some(new_reset), ..Findings::default() }
    }

    #[test]
    fn the_last_one_is_good() {
        let story = Story::new().users([id(1)]).findings(found(1));
        let story = story.done(&anyone(), id(1), request());
        let soon = story.at(Time::default() + TimeDelta::seconds(59)).findings(found(2));
        soon.when_actor(&anyone(), id(1), request()).refused(ErrorCode::RateLimited);
        let later = soon.at(Time::default() + TimeDelta::seconds(60));
        let events = later.when_actor(&anyone(), id(1), request()).accepted();
        let Event::Codes(CodeEvent::PasswordResetRequested(e)) = &events[0].event else {
            panic!("a reset")
        };
        assert_eq!(e.replaces, Some(id(801)));
        for (seconds, replaces) in [(3599, Some(id(801))), (3600, None)] {
            let made = uuid::Builder::from_unix_timestamp_millis(seconds * 1000, &[7; 10]);
            let reset =
                NewReset { reset_id: made.into_uuid(), ..found(2).new_reset.expect("a reset") };
            let late = Findings { new_reset: Some(reset), ..Findings::default() };
            let at = Time::default() + TimeDelta::seconds(seconds.cast_signed());
            let story = Story::new().users([id(1)]).findings(found(1));
            let story = story.done(&anyone(), id(1), request()).at(at).findings(late);
            let events = story.when_actor(&anyone(), id(1), request()).accepted();
            let Event::Codes(CodeEvent::PasswordResetRequested(e)) = &events[0].event else {
                panic!("a reset")
            };
            assert_eq!(e.replaces, replaces, "the first one ended by itself after an hour");
        }
        let again = later.findings(found(1));
        again.when_actor(&anyone(), id(1), request()).refused(ErrorCode::Conflict);
    }
}
