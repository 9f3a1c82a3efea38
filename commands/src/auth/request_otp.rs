use chrono::TimeDelta;
use echolog_events::{AccountStatus, CodeEvent, Event, OtpPurpose, OtpRequested, Stream};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::{NameType, check_age, identifier};
use crate::doc::{Doc, optional, required};
use crate::fields::Text;
use crate::{Context, Decide, Decision, Key, Needs, Rejection, World};

/// How long a code is good.
const LIFETIME: TimeDelta = TimeDelta::minutes(10);

/// How often somebody may show a wrong one.
const ATTEMPTS: u32 = 5;

/// Has a one-time code sent.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RequestOtp {
    /// What it is for.
    pub purpose: OtpPurpose,
    /// Where it goes.
    pub identifier: Text<1, 255>,
    /// Whether that is an address or a number.
    pub identifier_type: Option<NameType>,
}

/// Whether codes of this kind are for somebody who has logged in, about their own account.
#[must_use]
pub fn is_for_users(purpose: OtpPurpose) -> bool {
    match purpose {
        OtpPurpose::TwoFactor | OtpPurpose::PhoneChange | OtpPurpose::EmailVerification => true,
        OtpPurpose::Registration | OtpPurpose::Login | OtpPurpose::PasswordReset => false,
    }
}

impl RequestOtp {
    /// What kind of name it goes to.
    #[must_use]
    pub fn name_type(&self) -> NameType {
        self.identifier_type.unwrap_or_else(|| identifier::kind(self.identifier.as_str()))
    }

    /// Where it goes, as an account would have claimed it.
    ///
    /// # Errors
    /// `invalid`: no code can go there.
    pub fn canonical(&self) -> Result<String, Rejection> {
        let kind = self.name_type();
        let fits = match (self.purpose, kind) {
            (_, NameType::Username)
            | (OtpPurpose::PhoneChange, NameType::Email)
            | (OtpPurpose::EmailVerification, NameType::Phone) => None,
            (_, NameType::Email | NameType::Phone) => Some(()),
        };
        let canonical = fits.and_then(|()| identifier::canonical(self.identifier.as_str(), kind));
        canonical.ok_or_else(|| {
            let message = match self.purpose {
                OtpPurpose::PhoneChange => "This is no phone number.",
                OtpPurpose::EmailVerification => "This is no e-mail address.",
                OtpPurpose::Registration
                | OtpPurpose::Login
                | OtpPurpose::PasswordReset
                | OtpPurpose::TwoFactor => "This is neither an e-mail address nor a phone number.",
            };
            Rejection::invalid("identifier", message)
        })
    }
}

impl Decide for RequestOtp {
    const STREAM: Stream = Stream::Code;
    const DOC: Doc = Doc {
        summary: "Sends a code of six digits, which is good for ten minutes and may be guessed wrong five times. A new one takes the place of the one before for the same purpose. The answer does not tell whether somebody has the address or number, nor whether something was sent. The outcome's `data` has `otp_id` and `expires_at`.",
        target: "the new code's id, a UUIDv7 that the client has just made",
        fields: &[
            required(
                "purpose",
                "`registration`, `login`, `password_reset`; with your own account `2fa`, `phone_change`, `email_verification`",
            ),
            required("identifier", "text, 1 to 255: an e-mail address or a phone number"),
            optional(
                "identifier_type",
                "`email` or `phone`; default: `email` with an `@` in it, else `phone`",
            ),
        ],
        events: &["otp_requested"],
        refused: &[
            ("unauthenticated", "the purpose is for users, and the actor is none"),
            ("forbidden", "the account may not act"),
            ("conflict", "there was a code with this id already"),
            ("rate_limited", "one a minute, five an hour, ten a day for an address or number"),
            ("unavailable", "the operator sends no e-mails, or no text messages"),
        ],
        example: r#"{"purpose":"login","identifier":"ada@example.org","identifier_type":"email"}"#,
    };

    fn needs(&self, context: &Context<'_>, _: &World, needs: &mut Needs) {
        needs.want(Key::Codes(context.target));
        if is_for_users(self.purpose) {
            needs.want(Key::User(context.target));
        }
    }

    fn decide(&self, context: &Context<'_>, world: &World) -> Decision {
        let Some(found) = &context.findings.new_code else {
            return Err(Rejection::invalid("identifier", "An identifier is needed."));
        };
        self.canonical()?;
        if is_for_users(self.purpose) {
            check_own_account(context, world)?;
        }
        check_age(context, found.otp_id)?;
        let codes = world.codes(context.target);
        if codes.was_used(found.otp_id) {
            return Err(Rejection::conflict("There was a code with this id already."));
        }
        if codes.is_too_often(&found.identifier_hash, context.time) || codes.is_worn(context.time) {
            return Err(Rejection::rate_limited("Too many codes were asked for; wait a while."));
        }
        let requested = OtpRequested {
            account_id: context.target,
            user_id: found.user_id,
            otp_id: found.otp_id,
            identifier: found.identifier.clone(),
            identifier_type: self.name_type().into(),
            identifier_hash: found.identifier_hash.clone(),
            purpose: self.purpose,
            otp_hash: found.hash.clone(),
            max_attempts: ATTEMPTS,
            requested_at: context.time,
            expires_at: context.time + LIFETIME,
            replaces: codes.replaced_by(&found.identifier_hash, self.purpose, context.time),
            origin: context.findings.origin.clone(),
        };
        Ok(vec![CodeEvent::OtpRequested(Box::new(requested)).into()])
    }

    fn data(&self, events: &[&Event]) -> Option<Value> {
        events.iter().find_map(|event| {
            let Event::Codes(CodeEvent::OtpRequested(e)) = event else { return None };
            Some(json!({ "otp_id": e.otp_id, "expires_at": e.expires_at }))
        })
    }
}

/// Demands somebody who has an account, and that it is the one.
fn check_own_account(context: &Context<'_>, world: &World) -> Result<(), Rejection> {
    let id = context.own_user()?;
    let user = world
        .user(id)
        .ok_or_else(|| Rejection::unauthenticated("The actor is no registered user."))?;
    match user.status_at(context.time) {
        AccountStatus::Active | AccountStatus::Pending => Ok(()),
        AccountStatus::Suspended | AccountStatus::Banned | AccountStatus::Deleted => {
            Err(Rejection::forbidden("The account may not act."))
        }
    }
}

#[cfg(test)]
pub(super) mod tests {
    use echolog_events::{CodeHash, Time, Uuid};

    use super::*;
    use crate::auth::{Findings, NewCode};
    use crate::story::{Story, id};
    use crate::{Actor, ErrorCode};

    pub(in crate::auth) fn anyone() -> Actor {
        Actor::Anonymous("anon-1".to_owned())
    }

    pub(in crate::auth) fn request(purpose: OtpPurpose) -> RequestOtp {
        let body = json!({ "purpose": purpose.name(), "identifier": "ada@example.org" });
        serde_json::from_value(body).expect("a good body")
    }

    /// The hash of the name that codes go to.
    pub(in crate::auth) const SENT_TO: &str = "00000000000000a1";

    /// A code that the stories know as this number.
    pub(in crate::auth) fn found(number: u16) -> Findings {
        let new_code = NewCode {
            otp_id: id(700 + number),
            user_id: Some(id(1)),
            identifier: "ada@example.org".to_owned(),
            identifier_hash: SENT_TO.to_owned(),
            hash: CodeHash::new(format!("code {number}")),
        };
        Findings { new_code: Some(new_code), ..Findings::default() }
    }

    /// User 1 was sent a code at the beginning of 1970.
    pub(in crate::auth) fn sent(purpose: OtpPurpose) -> Story {
        let story = Story::new().users([id(1)]).findings(found(1));
        story.done(&Actor::User(id(1)), id(1), request(purpose))
    }

    fn after(story: Story, seconds: i64) -> Story {
        story.at(Time::default() + TimeDelta::seconds(seconds))
    }

    #[test]
    fn another_code_takes_the_place_of_the_first() {
        let story = after(sent(OtpPurpose::Login), 60).findings(found(2));
        let events = story.when_actor(&anyone(), id(1), request(OtpPurpose::Login)).accepted();
        let Event::Codes(CodeEvent::OtpRequested(e)) = &events[0].event else { panic!("a code") };
        assert_eq!(e.replaces, Some(id(701)));
        let other = request(OtpPurpose::PasswordReset);
        let events = story.when_actor(&anyone(), id(1), other).accepted();
        let Event::Codes(CodeEvent::OtpRequested(e)) = &events[0].event else { panic!("a code") };
        assert_eq!(e.replaces, None, "it is for something else");
        for (seconds, replaces) in [(599, Some(id(701))), (600, None)] {
            let code = NewCode { otp_id: new_id(seconds), ..found(2).new_code.expect("a code") };
            let late = Findings { new_code: Some(code), ..Findings::default() };
            let story = after(sent(OtpPurpose::Login), seconds).findings(late);
            let events = story.when_actor(&anyone(), id(1), request(OtpPurpose::Login)).accepted();
            let Event::Codes(CodeEvent::OtpRequested(e)) = &events[0].event else {
                panic!("a code")
            };
            assert_eq!(e.replaces, replaces, "the first one ended by itself after ten minutes");
        }
    }

    /// An id that is made so many seconds after the beginning of 1970.
    fn new_id(seconds: i64) -> Uuid {
        uuid::Builder::from_unix_timestamp_millis(seconds.unsigned_abs() * 1000, &[7; 10])
            .into_uuid()
    }

    #[test]
    fn nobody_is_flooded() {
        let story = after(sent(OtpPurpose::Login), 59).findings(found(2));
        let other = request(OtpPurpose::Registration);
        story.when_actor(&anyone(), id(1), other).refused(ErrorCode::RateLimited);
    }

    #[test]
    fn an_id_serves_once_and_is_new() {
        let story = after(sent(OtpPurpose::Login), 60).findings(found(1));
        let again = request(OtpPurpose::Login);
        story.when_actor(&anyone(), id(1), again.clone()).refused(ErrorCode::Conflict);
        let story = after(Story::new(), 400).findings(found(2));
        story.when_actor(&anyone(), id(1), again).refused(ErrorCode::Invalid);
    }

    #[test]
    fn some_are_for_users_only() {
        for purpose in OtpPurpose::ALL {
            let story = Story::new().users([id(1)]).findings(found(1));
            if purpose == OtpPurpose::PhoneChange {
                continue;
            }
            let command = request(purpose);
            let ending = story.when_actor(&anyone(), id(1), command.clone());
            if is_for_users(purpose) {
                ending.refused(ErrorCode::Unauthenticated);
                story.when(id(2), id(1), command.clone()).refused(ErrorCode::Forbidden);
            } else {
                ending.accepted();
            }
            story.when(id(1), id(1), command).accepted();
        }
    }

    #[test]
    fn codes_go_to_addresses_and_numbers() {
        let canonical = |purpose: &str, identifier: &str| {
            let body = json!({ "purpose": purpose, "identifier": identifier });
            serde_json::from_value::<RequestOtp>(body).expect("a good body").canonical().ok()
        };
        assert_eq!(canonical("login", "ADA@example.org").as_deref(), Some("ada@example.org"));
        assert_eq!(canonical("login", "+442071838750").as_deref(), Some("+442071838750"));
        assert_eq!(canonical("login", "ada"), None);
        assert_eq!(canonical("phone_change", "ada@example.org"), None);
        assert_eq!(canonical("email_verification", "+442071838750"), None);
    }
}
